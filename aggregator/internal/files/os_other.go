//go:build !linux

package files

import (
	"errors"
	"net"
)

// FreeSpace returns an error: the receiver does not check the free space then.
func FreeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }

// StorageError returns err.
func StorageError(err error) error { return err }

// StopListening does nothing: the port stays in use until the listener is closed.
func StopListening(*net.TCPListener) error { return nil }
