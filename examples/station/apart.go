package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// linkArgument as first argument makes the process one module of the link; its
// module id follows, for those who list processes. A board with -apart uses it.
const linkArgument = "-link"

// LinkConfig says which module of the link a process is.
type LinkConfig struct {
	Board BoardConfig `json:"board"`
	// Satellite is the number of the charge port.
	Satellite int            `json:"satellite"`
	ModuleID  string         `json:"module_id"`
	Broker    everest.Broker `json:"broker"`
}

// RunLink is the life of a module of the link in a process of its own: it is what
// its input says, until that ends.
func RunLink(ctx context.Context, input io.Reader, output, log io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var config LinkConfig
	decoder := json.NewDecoder(input)
	if err := decoder.Decode(&config); err != nil || config.ModuleID == "" {
		return errors.New("a module of the link gets its configuration from its board: start the program without " + linkArgument)
	}
	go func() {
		// The board writes no more; what ends is its interest in this process.
		_, _ = io.Copy(io.Discard, decoder.Buffered())
		_, _ = io.Copy(io.Discard, input)
		cancel()
	}()
	logger, err := newLogger(log, config.Board.LogLevel)
	if err != nil {
		return err
	}
	spawned := true
	report := NewReporter(output)
	options := everest.Options{
		ModuleID: config.ModuleID, Broker: config.Broker, EverestPrefix: config.Board.EverestPrefix,
		Spawned: &spawned, Logger: logger.Named(config.ModuleID),
	}
	if config.Board.Satellite > 0 {
		defer reportCost(report, config.Satellite, costAgent, costEnd)
		return runAgent(ctx, report, config.Satellite, options, func() { reportCost(report, config.Satellite, costAgent, costReady) })
	}
	defer reportCost(report, config.Satellite, costController, costEnd)
	return runController(ctx, report, config.Satellite, options, func() { reportCost(report, config.Satellite, costController, costReady) })
}

// runAgent runs the link's module of a satellite board. Working, which may be
// nil, is called when the link first works.
func runAgent(ctx context.Context, report *Reporter, number int, options everest.Options, working func()) error {
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger})
	return withStatus(ctx, report, number, options.ModuleID, agent.Run, func() Status {
		status := agent.Status()
		return Status{State: status.State, Journal: status.Journal, Dialect: status.Dialect, Resumes: status.Resumes}
	}, working)
}

// runController runs the link's module of the main board for one satellite.
func runController(ctx context.Context, report *Reporter, number int, options everest.Options, working func()) error {
	controller := satellite.NewController(satellite.ControllerConfig{
		Everest: options, Logger: options.Logger,
		Handshake: handshake.ControllerConfig{Retry: retryInterval},
	})
	return withStatus(ctx, report, number, options.ModuleID, controller.Run, func() Status {
		status := controller.Status()
		return Status{State: status.State, Dialect: status.Dialect, Resumes: status.Resumes}
	}, working)
}

// runApart runs a module of the link as a process of its own, as EVerest's
// manager does. It reports and logs where its board does.
func runApart(ctx context.Context, board BoardConfig, number int, options everest.Options) error {
	// The kernel ends a child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	program, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(program, linkArgument, options.ModuleID)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	endWithParent(command)
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	// A process that has ended does not read; its end is what counts.
	_ = json.NewEncoder(input).Encode(LinkConfig{Board: board, Satellite: number, ModuleID: options.ModuleID, Broker: options.Broker})
	stop := context.AfterFunc(ctx, func() { input.Close() })
	defer stop()
	if err := command.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return fmt.Errorf("%s ended unasked", options.ModuleID)
	}
	return nil
}
