// Package scenario plays OCPP's part in the common works of a station: it asks for
// its logs, updates its firmware, or resets it.
//
// The main board of its station has the module SystemAggregator. All boards run in
// this process, each with a broker, a manager and modules of its own. They know of
// each other only through the link.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// The scenarios.
const (
	Logs     = "logs"
	Firmware = "firmware"
	Reset    = "reset"
)

// Config configures a scenario.
type Config struct {
	// Name is Logs, Firmware or Reset.
	Name       string
	Satellites int
	// Log is where the boards' logs go, from LogLevel on.
	Log      io.Writer
	LogLevel string
	Screen   *terminal.Screen
}

// scenario is a station whose boards are all in this process.
type scenario struct {
	Config
	view        *terminal.Bars
	directory   string
	definitions *schema.Definitions
	systems     []*simulatedSystem
	backend     *everest.Module
	heard       chan heardStatus
}

// heardStatus is a status that the backend receives.
type heardStatus struct {
	Variable  string
	RequestID int64
	Status    string
}

// Run plays a scenario, and returns an error if a status or an answer is not the
// one that OCPP expects.
func Run(ctx context.Context, config Config) error {
	logger, err := board.NewLogger(config.Log, config.LogLevel)
	if err != nil {
		return err
	}
	s := &scenario{Config: config, view: terminal.NewBars(config.Screen), heard: make(chan heardStatus, 1000)}
	defer s.view.Settle()
	if s.definitions, err = satellite.Definitions(); err != nil {
		return err
	}
	if s.directory, err = os.MkdirTemp("", "station-scenario-"); err != nil {
		return fmt.Errorf("no place for the boards' files: %w", err)
	}
	defer os.RemoveAll(s.directory)
	ports, err := board.FreePorts(s.Satellites + 1)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer end(nil)
	s.view.Printf("a main board and %d satellites, each with a broker and a manager of its own", s.Satellites)
	for i := range s.Satellites + 1 {
		s.systems = append(s.systems, newSimulatedSystem(s, boardName(i)))
	}
	ready := make(chan struct{}, s.Satellites+1)
	for i := range s.Satellites + 1 {
		config := board.Config{
			Modules: s.modules(i, ports), Definitions: s.definitions, Logger: logger.Named(boardName(i)),
			Ready: func() { ready <- struct{}{} },
		}
		running.Go(func() {
			if err := board.Run(ctx, config); err != nil {
				end(fmt.Errorf("%s: %w", boardName(i), err))
			}
		})
	}
	for range s.Satellites + 1 {
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.view.Printf("all boards are ready")
	err = s.play(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func boardName(number int) string {
	if number == 0 {
		return "main"
	}
	return fmt.Sprintf("satellite%d", number)
}

// modules returns those of a board, of which 0 is the main board.
func (s *scenario) modules(number int, ports []int) []board.Module {
	modules := s.mainModules(ports)
	if number > 0 {
		modules = s.satelliteModules(number, ports[number])
	}
	if s.Name == Reset {
		// The modules end when their board is reset, which is no failure of the scenario.
		for i, module := range modules {
			modules[i].Run = func(ctx context.Context, options everest.Options) error {
				_ = module.Run(ctx, options)
				return nil
			}
		}
	}
	return modules
}

func (s *scenario) satelliteModules(number, port int) []board.Module {
	return []board.Module{
		{ID: "connector", Config: standin.Config("EvseManager", nil, nil), Run: standin.Run(s.chargePort)},
		{ID: "system", Config: standin.Config("System", nil, nil), Run: standin.Run(s.systems[number].setUp)},
		{ID: "remote_controller", Config: everesttest.ModuleConfig{
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Config: map[string]any{"port": port, "listen_address": board.Address},
			Connections: map[string][]everesttest.Connection{
				"evse_manager": board.To("connector", "evse"), "energy": board.To("connector", "energy_grid"), "system": board.To("system", "main"),
			},
		}, Run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger}).Run(ctx)
		}},
	}
}

// chargePort stands in for a charge port that has nothing to do.
func (s *scenario) chargePort(module *everest.Module) error {
	for _, id := range []string{"evse", "energy_grid", "token_provider", "random_delay", "dc_external_derate"} {
		if err := standin.AnswerAll(s.definitions, module.Provides(id), standin.PlainAnswer); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) mainModules(ports []int) []board.Module {
	systems, satellites := board.To("system", "main"), []everesttest.Connection(nil)
	modules := []board.Module{
		{ID: "system", Config: standin.Config("System", nil, nil), Run: standin.Run(s.systems[0].setUp)},
		{ID: "ocpp", Config: standin.Config("Backend", nil, map[string][]everesttest.Connection{
			"system": board.To("system_aggregator", "system"),
		}), Run: standin.Run(s.ocpp)},
	}
	for i := 1; i <= s.Satellites; i++ {
		id := fmt.Sprintf("connector_%d", i+1)
		systems = append(systems, board.To(id, "system")...)
		satellites = append(satellites, board.To(id, "satellite")...)
		modules = append(modules, board.Module{ID: id, Config: everesttest.ModuleConfig{
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config:  map[string]any{"hostname": board.Address, "port": ports[i]},
			Mapping: &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: i + 1}},
			Connections: map[string][]everesttest.Connection{
				"auth": board.To("ocpp", "auth"), "system": board.To("system_aggregator", "system"),
			},
		}, Run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewController(satellite.ControllerConfig{
				Everest: options, Logger: options.Logger,
				Handshake: handshake.ControllerConfig{Retry: 100 * time.Millisecond}, // these boards start within a blink
			}).Run(ctx)
		}})
	}
	return append(modules, board.Module{ID: "system_aggregator", Config: everesttest.ModuleConfig{
		Module: "SystemAggregator", Manifest: aggregator.Installation().Manifest,
		Config: map[string]any{
			"upload_url_template":  fmt.Sprintf("ftp://{my-ip}:%d/", ports[0]),
			"incoming_uploads_dir": filepath.Join(s.directory, "incoming"), "state_dir": filepath.Join(s.directory, "state"),
		},
		Connections: map[string][]everesttest.Connection{"system": systems, "satellite": satellites},
	}, Run: func(ctx context.Context, options everest.Options) error {
		return aggregator.New(aggregator.Config{Everest: options, Logger: options.Logger, Progress: s.progress}).Run(ctx)
	}})
}

// ocpp receives the statuses that a backend would get.
func (s *scenario) ocpp(module *everest.Module) error {
	if err := standin.AnswerAll(s.definitions, module.Provides("auth"), standin.PlainAnswer); err != nil {
		return err
	}
	s.backend = module
	queue := module.NewQueue("statuses")
	system := module.Requires("system")[0]
	everest.Subscribe(system, "log_status", func(_ context.Context, value struct {
		RequestID int64  `json:"request_id"`
		Status    string `json:"log_status"`
	}) {
		s.heard <- heardStatus{"LogStatusNotification", value.RequestID, value.Status}
	}, everest.OnQueue(queue))
	everest.Subscribe(system, "firmware_update_status", func(_ context.Context, value struct {
		RequestID int64  `json:"request_id"`
		Status    string `json:"firmware_update_status"`
	}) {
		s.heard <- heardStatus{"FirmwareStatusNotification", value.RequestID, value.Status}
	}, everest.OnQueue(queue))
	return nil
}

// progress moves the bar of a board's file, or of the archive.
func (s *scenario) progress(p aggregator.Progress) {
	name, total := "archive to the backend", p.Total
	if p.Board >= 0 {
		name, total = s.systems[p.Board].name, s.systems[p.Board].size()
	}
	if total > 0 {
		s.view.Move(terminal.Bar{Name: name, Done: p.Done, Total: total, Note: fmt.Sprintf("%5.1f MiB", float64(p.Done)/(1<<20))})
	}
}
