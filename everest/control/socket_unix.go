//go:build unix

package control

import (
	"errors"
	"syscall"
)

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

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
