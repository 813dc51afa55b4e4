package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// module is a status socket and the status of its module.
type module struct {
	client *control.Client
	// name is the id of the module, or the name of the socket where the module cannot be reached.
	name string
	// status is nil where err is not.
	status *control.Status
	err    error
}

// directory returns the directory of the sockets.
func (s *invocation) directory() string {
	if s.Directory != "" {
		return s.Directory
	}
	return control.DefaultDirectory(s.getenv)
}

// sockets returns the paths that the command line selects.
func (s *invocation) sockets() ([]string, error) {
	if len(s.Socket) > 0 {
		if s.Directory != "" {
			return nil, usage("--socket and --directory cannot be combined: give either")
		}
		return s.Socket, nil
	}
	paths, err := control.Sockets(s.directory())
	if err != nil {
		return nil, fmt.Errorf("%w; name another with --directory, or a socket with --socket", err)
	}
	if len(paths) == 0 {
		return nil, &failure{exitUnreachable, "no status socket in " + s.directory() +
			": do the modules run, and does their control_socket or RUNTIME_DIRECTORY point there?"}
	}
	return paths, nil
}

// statusTimeout is how long a module may take for its status. Its own bound is 5 s, so one beyond hangs or is another program.
const statusTimeout = 7 * time.Second

// modules reads the status of all modules concurrently. It returns those with the names, or all where there are no
// names.
func (s *invocation) modules(ctx context.Context, names []string) ([]*module, error) {
	paths, err := s.sockets()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	found := make([]*module, len(paths))
	var reading sync.WaitGroup
	for i, path := range paths {
		m := &module{client: control.Dial(path), name: strings.TrimSuffix(filepath.Base(path), ".sock")}
		found[i] = m
		reading.Go(func() {
			if m.status, m.err = m.client.Status(ctx); m.err == nil {
				m.name = m.status.ModuleID
			}
		})
	}
	reading.Wait()
	slices.SortStableFunc(found, func(one, other *module) int { return verdict.Compare(one.name, other.name) })
	if len(names) == 0 {
		return found, nil
	}
	var chosen []*module
	for _, name := range names {
		at := slices.IndexFunc(found, func(m *module) bool { return m.name == name })
		if at < 0 {
			return nil, usage("unknown module %s; there are %s", name, strings.Join(namesOf(found), ", "))
		}
		chosen = append(chosen, found[at])
	}
	return chosen, nil
}

func namesOf(modules []*module) []string {
	var names []string
	for _, m := range modules {
		names = append(names, m.name)
	}
	return names
}

// one returns the module with the name. Without a name it returns the only module, or the only suitable one.
func (s *invocation) one(ctx context.Context, name string, suits func(*control.Status) bool) (*module, error) {
	var names []string
	if name != "" {
		names = []string{name}
	}
	found, err := s.modules(ctx, names)
	if err != nil {
		return nil, err
	}
	if len(found) == 1 {
		return found[0], found[0].err
	}
	var suitable []*module
	var failures []error
	for _, m := range found {
		failures = append(failures, m.err)
		if m.err == nil && suits(m.status) {
			suitable = append(suitable, m)
		}
	}
	switch len(suitable) {
	case 1:
		return suitable[0], nil
	case 0:
		if err := errors.Join(failures...); err != nil {
			return nil, err
		}
		return nil, usage("none of the modules can do this by itself: name one of %s", strings.Join(namesOf(found), ", "))
	}
	return nil, usage("name a module: %s", strings.Join(namesOf(suitable), ", "))
}

func isController(status *control.Status) bool {
	return status.Link != nil && status.Link.Role == "controller"
}

func isAggregator(status *control.Status) bool { return status.Station != nil }
