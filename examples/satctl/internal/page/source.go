package page

import (
	"context"
	"errors"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Source is where the modules' snapshots come from.
type Source interface {
	// List returns the control sockets that there are. With an error it may
	// return some of them.
	List() ([]string, error)
	// Open returns one of them. It does not connect yet.
	Open(id string) Module
}

// Module is somebody who tells a module's status, as a *control.Client does.
type Module interface {
	Status(ctx context.Context) (*control.Status, error)
	Close()
}

// Sockets are control sockets.
type Sockets struct {
	// Directories are searched, again and again.
	Directories []string
	// Paths are there even while no file is.
	Paths []string
}

// List returns what it can, and the error of what it cannot.
func (s Sockets) List() ([]string, error) {
	found := append([]string(nil), s.Paths...)
	var failures []error
	for _, directory := range s.Directories {
		paths, err := control.Sockets(directory)
		if err != nil {
			failures = append(failures, err)
		}
		found = append(found, paths...)
	}
	return found, errors.Join(failures...)
}

// Open returns a client.
func (s Sockets) Open(id string) Module { return control.Dial(id) }
