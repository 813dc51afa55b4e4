// Package scenario plays OCPP's part in the common works of a station: it asks for
// its logs, updates its firmware, resets it, or looks at its boards.
//
// The main board of its station has the module SystemAggregator. All boards run in
// this process, each with a broker, a manager and modules of its own. They know of
// each other only through the link.
package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
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
	Boards   = "boards"
)

// Config configures a scenario.
type Config struct {
	// Name is one of Names.
	Name       string
	Satellites int
	// Log is where the boards' logs go, from LogLevel on.
	Log      io.Writer
	LogLevel string
	Screen   *terminal.Screen
	// Frames gets, at the end, what the backend has requested and what it has got for each request. It may be nil.
	Frames io.Writer
	// Sockets returns the directory of the status sockets of a board, empty for none; nil is none.
	Sockets func(board int) string
	// Begin is called when all boards are ready, and End when the scenario was played and the boards still run: for people
	// who look. Either may be nil.
	Begin, End func(ctx context.Context)
}

// scenario is a station whose boards are all in this process.
type scenario struct {
	Config
	view        *terminal.Bars
	directory   string
	definitions *schema.Definitions
	systems     []*simulatedSystem
	// updaters are the Systems of boards that really restart, in place of systems.
	updaters []*standin.System
	// story is nil unless the scenario is one of stories.
	story   *telling
	backend atomic.Pointer[everest.Module]
	// registered: the backend has accepted the station since its start.
	registered atomic.Bool
	heard      chan heardStatus
	record     record
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
	told, ok := stories[s.Name]
	s.Satellites = max(s.Satellites, told.satellites)
	s.record.version = cmp.Or(told.version, ocppframes.OCPP201)
	ofLinks, err := satellite.Definitions()
	if err != nil {
		return err
	}
	ofAggregator, err := aggregator.Definitions()
	if err != nil {
		return err
	}
	s.definitions = ofLinks.Over(ofAggregator)
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
	// A board that restarts becomes ready again.
	ready := make(chan struct{}, 100*(s.Satellites+1))
	if ok {
		s.story = newTelling(s, told)
		defer func() {
			for _, updater := range s.updaters {
				updater.Close()
			}
		}()
	}
	for i := range s.Satellites + 1 {
		if s.story != nil {
			running.Go(func() {
				if err := s.runAgain(ctx, i, ports, logger.Named(boardName(i)), func() { ready <- struct{}{} }); err != nil {
					end(fmt.Errorf("%s: %w", boardName(i), err))
				}
			})
			continue
		}
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
	if s.Begin != nil {
		s.Begin(ctx)
	}
	err = s.play(ctx)
	if s.End != nil && ctx.Err() == nil {
		s.End(ctx)
	}
	if s.Frames != nil {
		_, failed := io.WriteString(s.Frames, s.record.String())
		err = errors.Join(err, failed)
	}
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
		{ID: "system", Config: standin.Config("System", nil, nil), Run: standin.Run(s.systemOf(number))},
		{ID: fmt.Sprintf("remote_controller_%d", port), Config: everesttest.ModuleConfig{
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Config: map[string]any{"port": port, "listen_address": board.Address, "control_socket": s.socket(number, "remote_controller")},
			Connections: map[string][]everesttest.Connection{
				"evse_manager": board.To("connector", "evse"), "energy": board.To("connector", "energy_grid"), "system": board.To("system", "main"),
			},
		}, Run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger, StateDirectory: s.directory}).Run(ctx)
		}},
	}
}

// socket returns the configuration key control_socket of a module.
func (s *scenario) socket(number int, moduleID string) string {
	if s.Sockets == nil || s.Sockets(number) == "" {
		return "none"
	}
	return filepath.Join(s.Sockets(number), moduleID+".sock")
}

// systemOf returns what prepares the System of a board.
func (s *scenario) systemOf(number int) func(*everest.Module) error {
	if s.updaters != nil && (s.story == nil || !s.story.logs) {
		return s.updaters[number].SetUp
	}
	return s.systems[number].setUp
}

// chargePort stands in for a charge port that has nothing to do.
func (s *scenario) chargePort(module *everest.Module) error {
	for _, id := range []string{"evse", "energy_grid", "token_provider", "random_delay", "dc_external_derate"} {
		if err := standin.AnswerAll(s.definitions, module.Provides(id), standin.PlainAnswer); err != nil {
			return err
		}
	}
	module.OnReady(func(ctx context.Context) error { return module.Provides("evse").Publish(ctx, "ready", true) })
	return nil
}

func (s *scenario) mainModules(ports []int) []board.Module {
	systems, satellites := board.To("system", "main"), []everesttest.Connection(nil)
	modules := []board.Module{
		{ID: "system", Config: standin.Config("System", nil, nil), Run: standin.Run(s.systemOf(0))},
		{ID: "ocpp", Config: s.ocppConfig(), Run: standin.Run(s.ocpp)},
	}
	for i := 1; i <= s.Satellites; i++ {
		id := fmt.Sprintf("connector_%d", i+1)
		systems = append(systems, board.To(id, "system")...)
		satellites = append(satellites, board.To(id, "satellite")...)
		modules = append(modules, board.Module{ID: id, Config: everesttest.ModuleConfig{
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config:  map[string]any{"hostname": board.Address, "port": ports[i], "control_socket": s.socket(0, id)},
			Mapping: &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: i + 1}},
			Connections: map[string][]everesttest.Connection{
				"auth": board.To("ocpp", "auth"), "system": board.To("system_aggregator", "system"),
			},
		}, Run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewController(satellite.ControllerConfig{
				Everest: options, Logger: options.Logger, StateDirectory: s.directory,
				Handshake: handshake.ControllerConfig{Retry: 100 * time.Millisecond}, // these boards start within a blink
			}).Run(ctx)
		}})
	}
	keys := map[string]any{
		"upload_url_template":  fmt.Sprintf("ftp://{my-ip}:%d/", ports[0]),
		"incoming_uploads_dir": filepath.Join(s.directory, "incoming"), "state_dir": filepath.Join(s.directory, "state"),
		"data_transfer": "reset", "control_socket": s.socket(0, "system_aggregator"),
	}
	if s.story != nil {
		maps.Copy(keys, s.story.keys)
		if s.story.satctl {
			keys["control_socket"] = s.controlSocket()
		}
	}
	return append(modules, board.Module{ID: "system_aggregator", Config: everesttest.ModuleConfig{
		Module: "SystemAggregator", Manifest: aggregator.Installation().Manifest, Config: keys,
		Connections: map[string][]everesttest.Connection{"system": systems, "satellite": satellites, "ocpp": board.To("ocpp", "ocpp_generic")},
	}, Run: func(ctx context.Context, options everest.Options) error {
		return aggregator.New(aggregator.Config{Everest: options, Logger: options.Logger, Progress: s.progress}).Run(ctx)
	}})
}

// controlSocket is the path of the aggregator's status socket in a story that uses it.
func (s *scenario) controlSocket() string {
	if path := s.socket(0, "system_aggregator"); path != "none" {
		return path
	}
	return filepath.Join(s.directory, "aggregator.sock")
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
