package page

import (
	"context"
	"errors"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Source provides the snapshots of the modules.
type Source interface {
	// List returns the paths of the status sockets. It may return some of them together with an error.
	List() ([]string, error)
	// Open returns the module of a status socket. It does not connect yet.
	Open(id string) Module
}

// Module returns the status of a module. A *control.Client is one.
type Module interface {
	Status(ctx context.Context) (*control.Status, error)
	Close()
}

// Sockets is a Source of status sockets in directories.
type Sockets struct {
	// Directories are listed again for every List.
	Directories []string
	// Paths are always listed, also without a file.
	Paths []string
}

// List implements Source.
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

// Open implements Source.
func (s Sockets) Open(id string) Module { return control.Dial(id) }
