package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// Scenarios that -scenario plays, each the part that OCPP has in it.
const (
	scenarioLogs     = "logs"
	scenarioFirmware = "firmware"
	scenarioReset    = "reset"
)

// scenario is a station whose main board has the module SystemAggregator. All boards are in this process, each with a
// broker, a manager and modules of its own; what they say of each other goes over the real link.
type scenario struct {
	name        string
	satellites  int
	view        scenarioView
	directory   string
	definitions *schema.Definitions
	logger      *zap.Logger
	fail        context.CancelCauseFunc
	running     sync.WaitGroup
	systems     []*simulatedSystem
	backend     *everest.Module
	heard       chan heardStatus
}

// heardStatus is a status that the backend would be told.
type heardStatus struct {
	Variable  string
	RequestID int64
	Status    string
}

// errScenarioOver ends the boards of a scenario that was played.
var errScenarioOver = errors.New("the scenario is over")

// runScenario plays a scenario and returns an error when it did not go as OCPP has it.
func runScenario(ctx context.Context, flags Flags, view scenarioView) error {
	logger, err := newLogger(os.Stderr, flags.LogLevel)
	if err != nil {
		return err
	}
	known, err := satellite.Definitions()
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "station-scenario-")
	if err != nil {
		return fmt.Errorf("no place for the boards' files: %w", err)
	}
	defer os.RemoveAll(directory)
	ctx, cancel := context.WithCancelCause(ctx)
	s := &scenario{
		name: flags.Scenario, satellites: flags.Satellites, view: view, directory: directory, definitions: known,
		logger: logger, fail: cancel, heard: make(chan heardStatus, 1000),
	}
	err = s.run(ctx)
	cancel(errScenarioOver)
	s.running.Wait()
	view.Settle()
	if cause := context.Cause(ctx); err != nil && !errors.Is(cause, errScenarioOver) && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func (s *scenario) run(ctx context.Context) error {
	ports, err := FreePorts(s.satellites + 1)
	if err != nil {
		return err
	}
	s.print("a main board and %d satellites, each with a broker and a manager of its own", s.satellites)
	s.systems = append(s.systems, newSimulatedSystem(s, boardMain))
	managers := make([]*everesttest.Manager, 0, s.satellites+1)
	for i := 1; i <= s.satellites; i++ {
		s.systems = append(s.systems, newSimulatedSystem(s, satelliteName(i)))
		manager, err := s.startBoard(ctx, satelliteName(i), s.satelliteModules(i, ports[i]))
		if err != nil {
			return err
		}
		managers = append(managers, manager)
	}
	manager, err := s.startBoard(ctx, boardMain, s.mainModules(ports))
	if err != nil {
		return err
	}
	for _, manager := range append(managers, manager) {
		if err := manager.WaitReady(ctx); err != nil {
			return err
		}
	}
	s.print("all boards are ready")
	switch s.name {
	case scenarioLogs:
		return s.playLogs(ctx)
	case scenarioFirmware:
		return s.playFirmware(ctx)
	}
	return s.playReset(ctx)
}

// startBoard stands up a board. The failure of any of its modules is the scenario's.
func (s *scenario) startBoard(ctx context.Context, name string, modules []boardModule) (*everesttest.Manager, error) {
	broker, err := everesttest.StartBroker(everesttest.BrokerConfig{})
	if err != nil {
		return nil, err
	}
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker: broker.Address(), Modules: configurations(modules), Definitions: s.definitions, Logger: s.logger.Named(name),
	})
	if err != nil {
		return nil, errors.Join(err, broker.Close())
	}
	var board sync.WaitGroup
	for _, module := range modules {
		board.Go(func() {
			options := manager.Options(module.id)
			options.Logger = s.logger.Named(name).Named(module.id)
			// A reset ends the boards, which is what the scenario wants.
			if err := module.run(ctx, options); err != nil && ctx.Err() == nil && s.name != scenarioReset {
				s.fail(fmt.Errorf("%s: module %s: %w", name, module.id, err))
			}
		})
	}
	s.running.Go(func() {
		<-ctx.Done()
		board.Wait()
		manager.Close()
		broker.Close()
	})
	return manager, nil
}

func (s *scenario) satelliteModules(number, port int) []boardModule {
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	return []boardModule{
		{id: moduleConnector, config: standin.Config("EvseManager", nil, nil), run: standin.Run(s.chargePort)},
		{id: moduleSystem, config: standin.Config("System", nil, nil), run: standin.Run(s.systems[number].setUp)},
		{id: moduleAgent, config: everesttest.ModuleConfig{
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest,
			Config: map[string]any{"port": port, "listen_address": agentAddress},
			Connections: map[string][]everesttest.Connection{
				"evse_manager": to(moduleConnector, "evse"), "energy": to(moduleConnector, "energy_grid"), "system": to(moduleSystem, "main"),
			},
		}, run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger}).Run(ctx)
		}},
	}
}

// chargePort answers for a charge port that has nothing to do.
func (s *scenario) chargePort(module *everest.Module) error {
	for _, id := range []string{"evse", "energy_grid", "token_provider", "random_delay", "dc_external_derate"} {
		if err := standin.AnswerAll(s.definitions, module.Provides(id), standin.PlainAnswer); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) mainModules(ports []int) []boardModule {
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	systems, satellites := to(moduleSystem, "main"), []everesttest.Connection(nil)
	modules := []boardModule{
		{id: moduleSystem, config: standin.Config("System", nil, nil), run: standin.Run(s.systems[0].setUp)},
		{id: "ocpp", config: standin.Config("Backend", nil, map[string][]everesttest.Connection{"system": to("system_aggregator", "system")}), run: standin.Run(s.ocpp)},
	}
	for i := 1; i <= s.satellites; i++ {
		id := connectorName(i)
		systems = append(systems, to(id, "system")...)
		satellites = append(satellites, to(id, "satellite")...)
		modules = append(modules, boardModule{id: id, config: everesttest.ModuleConfig{
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest,
			Config:      map[string]any{"hostname": agentAddress, "port": ports[i]},
			Mapping:     &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: i + 1}},
			Connections: map[string][]everesttest.Connection{"auth": to("ocpp", "auth"), "system": to("system_aggregator", "system")},
		}, run: func(ctx context.Context, options everest.Options) error {
			return satellite.NewController(satellite.ControllerConfig{
				Everest: options, Logger: options.Logger, Handshake: handshake.ControllerConfig{Retry: retryInterval},
			}).Run(ctx)
		}})
	}
	return append(modules, boardModule{id: "system_aggregator", config: everesttest.ModuleConfig{
		Module: "SystemAggregator", Manifest: aggregator.Installation().Manifest,
		Config: map[string]any{
			"upload_url_template":  fmt.Sprintf("ftp://{my-ip}:%d/", ports[0]),
			"incoming_uploads_dir": filepath.Join(s.directory, "incoming"), "state_dir": filepath.Join(s.directory, "state"),
		},
		Connections: map[string][]everesttest.Connection{"system": systems, "satellite": satellites},
	}, run: func(ctx context.Context, options everest.Options) error {
		return aggregator.New(aggregator.Config{Everest: options, Logger: options.Logger, Progress: s.progress}).Run(ctx)
	}})
}

// ocpp sees what a backend would be told.
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

// print writes one line of the story.
func (s *scenario) print(format string, arguments ...any) {
	s.view.Line(fmt.Sprintf(format, arguments...))
}

// progress moves the bar of a board's file, or of the archive.
func (s *scenario) progress(p aggregator.Progress) {
	name, total := "archive to the backend", p.Total
	if p.Board >= 0 {
		name, total = s.systems[p.Board].name, s.systems[p.Board].size()
	}
	if total > 0 {
		s.view.Progress(boardProgress{Name: name, Done: p.Done, Total: total, Note: fmt.Sprintf("%5.1f MiB", float64(p.Done)/(1<<20))})
	}
}
