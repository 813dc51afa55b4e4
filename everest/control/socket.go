package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

var errInUse = errors.New("control: another process serves this socket")

// maxPath is how many bytes the path of a UNIX socket may have on Linux. A longer path is an error.
const maxPath = 107

// socketFile is a listening status socket and its file.
type socketFile struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo
	close func() error
}

// openSocket creates the socket with mode 0600. It replaces the file of a process that is gone.
func openSocket(path string) (*socketFile, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("control: the path %s has %d bytes, a UNIX socket can have %d: choose a shorter control_socket", path, len(path), maxPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	configuration := net.ListenConfig{Control: onlyOwner}
	listener, err := configuration.Listen(context.Background(), "unix", path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control: cannot open the socket: %w: create the directory %s, for instance by RuntimeDirectory= of the unit",
			err, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("control: cannot open the socket: %w", err)
	}
	socket := &socketFile{UnixListener: listener.(*net.UnixListener), path: path}
	// At the end the path may have the file of another process.
	socket.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control: cannot open the socket: %w", err)
	}
	if socket.file, err = os.Lstat(path); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control: cannot open the socket: %w", err)
	}
	// Only once: the file of the next process may get the same inode.
	socket.close = sync.OnceValue(socket.remove)
	return socket, nil
}

// onlyOwner sets the mode that bind gives to the file, so that other users can connect at no moment.
func onlyOwner(_, _ string, connection syscall.RawConn) error {
	var failed error
	err := connection.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
	if err != nil {
		return err
	}
	if errors.Is(failed, syscall.EINVAL) {
		return nil // not on Linux: openSocket sets the mode after bind
	}
	return failed
}

// removeStale removes the socket of a process that is gone.
func removeStale(path string) error {
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control: cannot open the socket: %w", err)
	}
	if file.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control: %s is not a socket: choose another control_socket, or remove it", path)
	}
	connection, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		connection.Close()
		return fmt.Errorf("%w: %s: give every module a control_socket of its own", errInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %s: %w", errInUse, path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("control: cannot replace the socket of a process that is gone: %w", err)
	}
	return nil
}

// Close closes the socket and removes its file, unless the path has the file of another process.
func (s *socketFile) Close() error { return s.close() }

func (s *socketFile) remove() error {
	if file, err := os.Lstat(s.path); err == nil && os.SameFile(file, s.file) {
		_ = os.Remove(s.path) // the next start replaces a file that could not be removed
	}
	return s.UnixListener.Close()
}

// DefaultDirectory returns the directory of the status sockets: the first directory in RUNTIME_DIRECTORY, which systemd
// sets. If that variable is empty, it is /run/remotechargeport.
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

// PathOf returns the path of a module's status socket, or an empty path if the module should have none. key is the
// value of the module's configuration key control_socket:
//
//   - "none" means no socket.
//   - An empty key means "<module id>.sock" in RUNTIME_DIRECTORY, or no socket if that variable is empty.
//   - Any other key is the path itself.
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

// Sockets returns the paths of the sockets in a directory that are named *.sock, sorted. A socket in the list may be
// stale, without a process that serves it.
func Sockets(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("control: cannot list the status sockets: %w", err)
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
