package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrInUse says that a living process serves the socket.
var ErrInUse = errors.New("control: a living process serves this socket")

// mostPath is the longest path of a UNIX socket on Linux.
const mostPath = 107

// socketFile is a control socket in the file system.
type socketFile struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo
	close func() error
}

// openSocket makes the socket of mode 0600, in place of one that nobody answers at.
func openSocket(path string) (*socketFile, error) {
	if len(path) > mostPath {
		return nil, fmt.Errorf("control: the path %s has %d bytes, a UNIX socket can have %d: choose a shorter control_socket", path, len(path), mostPath)
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
	// At the end the file may be another process's already.
	socket.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control: cannot open the socket: %w", err)
	}
	if socket.file, err = os.Lstat(path); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control: cannot open the socket: %w", err)
	}
	// Once, because the next process's file may get the same inode.
	socket.close = sync.OnceValue(socket.remove)
	return socket, nil
}

// removeStale removes what a dead process has left behind.
func removeStale(path string) error {
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control: cannot open the socket: %w", err)
	}
	if file.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control: %s is no socket: choose another control_socket, or remove it", path)
	}
	connection, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		connection.Close()
		return fmt.Errorf("%w: %s: give every module a control_socket of its own", ErrInUse, path)
	}
	if !refused(err) {
		return fmt.Errorf("%w: %s: %w", ErrInUse, path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("control: cannot replace the socket of a process that is gone: %w", err)
	}
	return nil
}

// Close ends the socket and removes its file if it is still the own one.
func (s *socketFile) Close() error { return s.close() }

func (s *socketFile) remove() error {
	if file, err := os.Lstat(s.path); err == nil && os.SameFile(file, s.file) {
		_ = os.Remove(s.path) // a file that stays is replaced by the next start
	}
	return s.UnixListener.Close()
}
