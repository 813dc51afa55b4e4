// Package files has what the receiver of log files, the archive and the aggregator share about files: names that are
// safe to use, directories of one process, and what a full disk is.
package files

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"syscall"
)

var (
	// ErrName: a name that names no file: empty, "." or "..".
	ErrName = errors.New("files: not the name of a file")
	// ErrDiskFull: the file system has no space left, or less than is to stay free.
	ErrDiskFull = errors.New("the disk is full")
)

// maxNameLength is the length to which SafeName shortens a name: every file system and tar reader takes as many bytes.
const maxNameLength = 120

// BaseName returns the last element of a name that a board gave: a board chooses its file's name, not its directory.
func BaseName(name string) (string, error) {
	name = strings.ReplaceAll(name, "\\", "/")
	base := path.Base(strings.TrimRight(name, "/"))
	if name == "" || base == "." || base == ".." || base == "/" || strings.ContainsRune(base, 0) {
		return "", fmt.Errorf("%w: %.40q", ErrName, name)
	}
	return base, nil
}

// SafeName returns the name under which a board's file is stored and packed: its base name, of letters, digits, dots,
// dashes and underscores, not hidden, of at most maxNameLength bytes.
func SafeName(name string) (string, error) {
	base, err := BaseName(name)
	if err != nil {
		return "", err
	}
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, base)
	if len(safe) > maxNameLength {
		// The end of a name shows the kind of the file.
		safe = safe[:maxNameLength/2] + safe[len(safe)-maxNameLength/2:]
	}
	if safe[0] == '.' {
		safe = "_" + safe[1:]
	}
	return safe, nil
}

// RandomName returns an unguessable name: the given number of random bytes in hexadecimal.
func RandomName(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random)
	return hex.EncodeToString(random)
}

// FreeSpace returns how many bytes an unprivileged process could still write to the file system of a directory.
func FreeSpace(directory string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(directory, &stat); err != nil {
		return 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

// StorageError returns err, wrapped in ErrDiskFull where a full disk or an exceeded quota is the cause. The sender of a
// file then gets the reply that its protocol has for that.
func StorageError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// StopListening gives a listener's port back to the system, and leaves the listener open. A library that made a
// listener on every interface may still set its deadline and close it, but nobody can connect to it.
func StopListening(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var shutdown error
	if err := raw.Control(func(fd uintptr) { shutdown = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }); err != nil {
		return err
	}
	return shutdown
}
