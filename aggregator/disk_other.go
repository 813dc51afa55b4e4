//go:build !linux

package aggregator

import (
	"errors"
	"net"
)

func freeSpace(string) (int64, error) { return 0, errors.ErrUnsupported }

func storageError(err error) error { return err }

func stopListening(*net.TCPListener) error { return nil }
