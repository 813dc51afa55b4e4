package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
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
}

// run is the module's life. This is what a vendor's own program does; the rest of
// this file reports the status of the link.
func (m linkModule) run(ctx context.Context, report *Reporter, options everest.Options) error {
	if m.Board.Apart {
		return m.runApart(ctx, options)
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

// runApart runs the module as a process of its own, as EVerest's manager does. The
// process reports and logs where its board does, and ends with its input.
func (m linkModule) runApart(ctx context.Context, options everest.Options) error {
	m.ModuleID, m.Broker = options.ModuleID, options.Broker
	program, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(program, linkArgument, m.ModuleID)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	// A process that has ended does not read; Wait returns its end.
	_ = json.NewEncoder(input).Encode(m)
	stop := context.AfterFunc(ctx, func() { input.Close() })
	defer stop()
	if err := command.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return fmt.Errorf("%s ended unasked", m.ModuleID)
	}
	return nil
}

// runLink is the life of that process.
func runLink(ctx context.Context, input io.Reader, output, log io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var m linkModule
	decoder := json.NewDecoder(input)
	if err := decoder.Decode(&m); err != nil || m.ModuleID == "" {
		return errors.New("a module of the link gets its configuration from its board: start the program without " + linkArgument)
	}
	go func() {
		// The board writes no more. Reading cannot be ended; the process ends over it.
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), input))
		cancel()
	}()
	logger, err := board.NewLogger(log, m.Board.LogLevel)
	if err != nil {
		return err
	}
	m.Board.Apart = false
	return m.run(ctx, NewReporter(output), everest.Options{
		ModuleID: m.ModuleID, Broker: m.Broker, EverestPrefix: m.Board.EverestPrefix, Spawned: new(true), Logger: logger.Named(m.ModuleID),
	})
}
