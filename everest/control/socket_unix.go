//go:build unix

package control

import (
	"errors"
	"syscall"
)

// onlyOwner sets the mode with which bind is going to make the file: there is no moment at which others may connect.
func onlyOwner(_, _ string, connection syscall.RawConn) error {
	var failed error
	err := connection.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) })
	if err != nil {
		return err
	}
	if errors.Is(failed, syscall.EINVAL) {
		return nil // systems other than Linux: the mode is set after bind
	}
	return failed
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
