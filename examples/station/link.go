package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/supervisor"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const (
	// retryInterval is how long a controller waits for an agent that does not listen
	// yet: these boards start within a blink, so the usual second would be felt.
	retryInterval = 100 * time.Millisecond
	// statusInterval is how often a board looks whether its link has changed.
	statusInterval = 100 * time.Millisecond
)

// linkModule is a module of the link: the agent of a satellite board, or the main
// board's controller for one satellite.
type linkModule struct {
	Board BoardConfig `json:"board"`
	// Satellite is the number of the charge port.
	Satellite int `json:"satellite"`
	// ModuleID and Broker are set for a module in a process of its own.
	ModuleID string         `json:"module_id"`
	Broker   everest.Broker `json:"broker"`
	// Prefix and ConfigFile are those of a module that reads its configuration from files.
	Prefix     string `json:"prefix,omitempty"`
	ConfigFile string `json:"config_file,omitempty"`
}

// run is the module's life. This is what a vendor's own program does; the rest of
// this file reports the status of the link.
func (m linkModule) run(ctx context.Context, report *Reporter, options everest.Options) error {
	if m.Board.Apart {
		m.ModuleID, m.Broker, m.Prefix, m.ConfigFile = options.ModuleID, options.Broker, options.InstallPrefix, options.ConfigFile
		return supervisor.RunChild(ctx, linkArgument, m.ModuleID, m)
	}
	if m.Board.Satellite > 0 {
		agent := satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger})
		return m.watch(ctx, report, agent.Run, func() Status {
			status := agent.Status()
			return Status{State: status.State, Journal: status.Journal, Dialect: status.Dialect, Resumes: status.Resumes}
		})
	}
	controller := satellite.NewController(satellite.ControllerConfig{
		Everest: options, Logger: options.Logger, Handshake: handshake.ControllerConfig{Retry: retryInterval},
	})
	return m.watch(ctx, report, controller.Run, func() Status {
		status := controller.Status()
		return Status{State: status.State, Dialect: status.Dialect, Resumes: status.Resumes}
	})
}

// watch runs the module and reports its status whenever that has changed.
func (m linkModule) watch(ctx context.Context, report *Reporter, run func(context.Context) error, status func() Status) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		var last Status
		for more := true; more; {
			// The last look is at what the module leaves.
			more = recording.Sleep(watching, statusInterval) == nil
			if now := status(); now != last {
				report.Report(Report{Kind: KindStatus, Satellite: m.Satellite, Status: &now})
				last = now
			}
		}
	})
	return run(ctx)
}

// runLink is the life of a module of the link in a process of its own, as EVerest's
// manager starts one.
func runLink(ctx context.Context, input io.Reader, output, log io.Writer) error {
	var m linkModule
	ctx, _, err := supervisor.ReadInput(ctx, input, &m)
	if err != nil || m.ModuleID == "" {
		return errors.New("a module of the link gets its configuration from its board: start the program without " + linkArgument)
	}
	logger, err := board.NewLogger(log, m.Board.LogLevel)
	if err != nil {
		return err
	}
	m.Board.Apart = false
	return m.run(ctx, NewReporter(output), everest.Options{
		ModuleID: m.ModuleID, Broker: m.Broker, EverestPrefix: m.Board.EverestPrefix, Wire: m.Board.Family, Spawned: new(true), Logger: logger.Named(m.ModuleID),
		InstallPrefix: m.Prefix, ConfigFile: m.ConfigFile,
	})
}
