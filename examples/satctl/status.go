package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// statusCommand shows snapshots.
type statusCommand struct {
	Module  []string `arg:"" optional:"" help:"Modules to show. Default: all."`
	Verbose bool     `short:"v" help:"Show the whole status of each module."`
}

// moduleStatus is the JSON of one module: its status, or the reason why there is none.
type moduleStatus struct {
	*control.Status
	Socket string `json:"socket"`
	Error  string `json:"error,omitempty"`
}

// Run shows the modules. It fails where one of them does not work.
func (c *statusCommand) Run(ctx context.Context, s *invocation) error {
	modules, err := s.modules(ctx, c.Module)
	if err != nil {
		return err
	}
	if s.JSON {
		writer := json.NewEncoder(s.out)
		for _, m := range modules {
			line := moduleStatus{Status: m.status, Socket: m.client.Path()}
			if m.err != nil {
				line.Status, line.Error = nil, m.err.Error()
			}
			if err := writer.Encode(line); err != nil {
				return err
			}
		}
		return worst(modules)
	}
	overview(s.out, modules)
	for _, m := range modules {
		if c.Verbose && m.err == nil {
			fmt.Fprintf(s.out, "\n%s (%s)\n", m.name, filepath.Base(m.client.Path()))
			details(s.out, m.status, "")
		}
	}
	return worst(modules)
}

// worst returns the highest exit status of the modules as an error.
func worst(modules []*module) error {
	status := exitWell
	for _, m := range modules {
		switch {
		case m.err != nil:
			status = max(status, statusOf(m.err))
		case m.status.Health != control.Healthy:
			status = max(status, exitNotWorking)
		case m.status.Peer != nil && m.status.Peer.Status != nil && m.status.Peer.Status.Health != control.Healthy:
			status = max(status, exitNotWorking)
		}
	}
	if status == exitWell {
		return nil
	}
	return &failure{status: status}
}
