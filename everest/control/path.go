package control

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultDirectory is where the sockets are when nothing else is said: the first directory of RUNTIME_DIRECTORY, which
// systemd sets, otherwise /run/remotechargeport.
func DefaultDirectory(getenv func(string) string) string {
	if directory := runtimeDirectory(getenv); directory != "" {
		return directory
	}
	return "/run/remotechargeport"
}

func runtimeDirectory(getenv func(string) string) string {
	first, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":")
	return first
}

// PathOf is where a module serves its control socket by its configuration key control_socket: the key's value, for an empty
// one "<module id>.sock" in RUNTIME_DIRECTORY if the environment has it. It is empty, for no socket, with the value "none"
// and without RUNTIME_DIRECTORY.
func PathOf(key, moduleID string, getenv func(string) string) string {
	switch key {
	case "none":
		return ""
	case "":
		if directory := runtimeDirectory(getenv); directory != "" && filepath.Base(moduleID) == moduleID {
			return filepath.Join(directory, moduleID+".sock")
		}
		return ""
	}
	return key
}

// Sockets lists the control sockets of a directory, sorted: everything in it that is a socket and named *.sock. Whether
// somebody answers there is another question.
func Sockets(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("control: cannot look for control sockets: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		if entry.Type()&os.ModeSocket != 0 && strings.HasSuffix(entry.Name(), ".sock") {
			paths = append(paths, filepath.Join(directory, entry.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}
