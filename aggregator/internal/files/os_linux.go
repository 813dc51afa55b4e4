package files

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

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

// StopListening gives a listener's port back to the system, and leaves the listener open. A library that made a listener
// on every interface may still set its deadline and close it, but nobody can connect to it.
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
