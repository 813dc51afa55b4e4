package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// statusCommand shows snapshots.
type statusCommand struct {
	Module  []string `arg:"" optional:"" help:"Modules to show. Default: all."`
	Verbose bool     `short:"v" help:"Show the whole status of each module."`
}

// moduleStatus is the JSON of one module: its status, or the reason why there is none, and what satctl makes of it.
type moduleStatus struct {
	*control.Status
	Socket  string        `json:"socket"`
	Error   string        `json:"error,omitempty"`
	Level   verdict.Level `json:"level"`
	Reasons []string      `json:"reasons"`
}

// Run shows the modules. It fails where one of them does not work.
func (c *statusCommand) Run(ctx context.Context, s *invocation) error {
	modules, err := s.modules(ctx, c.Module)
	if err != nil {
		return err
	}
	now := time.Now()
	if s.JSON {
		writer := json.NewEncoder(s.out)
		for _, m := range modules {
			judged := m.judge(now)
			line := moduleStatus{Status: m.status, Socket: m.client.Path(), Level: judged.Level, Reasons: judged.Reasons}
			if m.err != nil {
				line.Status, line.Error = nil, m.err.Error()
			}
			if err := writer.Encode(line); err != nil {
				return err
			}
		}
		return worst(modules, now)
	}
	shown := printable(modules)
	glance(s, shown, now)
	overview(s.out, shown)
	for _, m := range shown {
		if c.Verbose && m.err != nil {
			fmt.Fprintf(s.out, "\n%s (%s)\n  cause  %v\n", m.name, filepath.Base(m.client.Path()), m.err)
		}
		if c.Verbose && m.err == nil {
			fmt.Fprintf(s.out, "\n%s (%s)\n", m.name, filepath.Base(m.client.Path()))
			details(s.out, m.status, "", now)
		}
	}
	return worst(modules, now)
}

// judge returns the level of a module with the reasons.
func (m *module) judge(now time.Time) verdict.Verdict {
	if m.err != nil {
		return verdict.Verdict{Level: verdict.Down, Reasons: []string{verdict.Unreachable(m.err)}}
	}
	return verdict.Of(m.status, now)
}

// printable returns copies of the modules whose texts are safe in a table.
func printable(modules []*module) []*module {
	safe := make([]*module, len(modules))
	for i, m := range modules {
		safe[i] = &module{client: m.client, name: terminal.Printable(m.name), status: terminal.Printable(m.status)}
		if m.err != nil {
			safe[i].err = printableError{m.err}
		}
	}
	return safe
}

// printableError is an error whose text is safe in a table.
type printableError struct{ error }

func (e printableError) Error() string { return terminal.Printable(e.error.Error()) }
func (e printableError) Unwrap() error { return e.error }

// worst returns the highest exit status of the modules as an error.
func worst(modules []*module, now time.Time) error {
	status := exitWell
	for _, m := range modules {
		switch {
		case m.err != nil:
			status = max(status, statusOf(m.err))
		case m.status.Health != control.Healthy, m.judge(now).Level >= verdict.Trouble:
			status = max(status, exitNotWorking)
		}
	}
	if status == exitWell {
		return nil
	}
	return &failure{status: status}
}
