package program

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// ErrListeners is a passed socket that is not the one listening stream socket that a program can take.
var ErrListeners = errors.New("systemd: the socket unit must pass one socket, ListenStream=")

// Listener returns the socket that systemd has opened for this process, or nil when there is none. The first call takes
// it: later ones return nil.
func Listener() (net.Listener, error) {
	files := activation.Files(true)
	if len(files) == 0 {
		return nil, nil
	}
	defer func() {
		for _, file := range files {
			file.Close()
		}
	}()
	if len(files) > 1 {
		return nil, fmt.Errorf("%w, not %d", ErrListeners, len(files))
	}
	listener, err := net.FileListener(files[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrListeners, files[0].Name(), err)
	}
	return listener, nil
}
