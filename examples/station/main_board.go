package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// limitsInterval is how often the energy manager and OCPP turn to a charge port,
// in the time of the recording.
const limitsInterval = time.Second

// retryInterval is how long a controller waits for an agent that does not listen
// yet: these boards start within a blink, so the usual second would be felt.
const retryInterval = 100 * time.Millisecond

// connectorName is the module that stands for a satellite's charge port. EVSE 1
// would be the main board's own.
func connectorName(satellite int) string { return fmt.Sprintf("connector_%d", satellite+1) }

// mainBoard plays what a station's main board does with its satellites.
type mainBoard struct {
	config      BoardConfig
	definitions *schema.Definitions
	report      *Reporter
	limits      []json.RawMessage
	authorize   authorization

	mu sync.Mutex
	// evses and energies are the satellites' charge ports, once their callers
	// are connected.
	evses, energies []*caller
	// finish ends the calling that finished waits for; both nil while nobody
	// calls.
	finish, finished chan struct{}
	pushing          sync.Mutex
}

func newMainBoard(config BoardConfig, known *schema.Definitions, report *Reporter) (*mainBoard, error) {
	session, err := recording.ChargingSession()
	if err != nil {
		return nil, err
	}
	limits, err := recording.CommandArguments(session, "enforce_limits")
	if err != nil {
		return nil, err
	}
	authorize, err := recordedAuthorization(session)
	if err != nil {
		return nil, err
	}
	return &mainBoard{config: config, definitions: known, report: report, limits: limits, authorize: authorize}, nil
}

func (b *mainBoard) modules() []boardModule {
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	// toEach connects the satellites in their order, so that the position of a
	// connection is the satellite's number.
	toEach := func(implementation string) []everesttest.Connection {
		var connections []everesttest.Connection
		for i := range b.config.Ports {
			connections = append(connections, everesttest.Connection{ModuleID: connectorName(i + 1), ImplementationID: implementation})
		}
		return connections
	}
	modules := []boardModule{
		{id: "auth", run: standin.Run(b.auth), config: standin.Config("Auth", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"), "token_validator": to("ocpp", "auth_validator"),
		})},
		{id: "energy_manager", run: standin.Run(b.energyManager), config: standin.Config("EnergyManager", nil, map[string][]everesttest.Connection{
			"energy": toEach("energy"),
		})},
		{id: "ocpp", run: standin.Run(b.ocpp), config: standin.Config("OCPP", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"),
		})},
		{id: "api", run: standin.Run(b.api), config: standin.Config("API", nil, map[string][]everesttest.Connection{
			"evse_manager": toEach("evse_manager"), "energy": toEach("energy"), interfaceSatellite: toEach("satellite"),
		})},
		{id: moduleSystem, run: standin.Run(b.system), config: standin.Config("System", nil, nil)},
	}
	for i, port := range b.config.Ports {
		number := i + 1
		keys := map[string]any{"hostname": agentAddress, "port": port}
		if b.config.LinkTimeout > 0 {
			keys["link_timeout_ms"] = b.config.LinkTimeout.Milliseconds()
		}
		modules = append(modules, boardModule{
			id: connectorName(number),
			config: everesttest.ModuleConfig{
				Module:   "SatelliteController",
				Manifest: satellite.ControllerInstallation().Manifest,
				Config:   keys,
				Mapping:  &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: number + 1}},
				Connections: map[string][]everesttest.Connection{
					"auth": to("auth", "main"), "system": to(moduleSystem, "main"),
				},
			},
			run: func(ctx context.Context, options everest.Options) error {
				if b.config.Apart {
					return runApart(ctx, b.config, number, options)
				}
				return runController(ctx, b.report, number, options, nil)
			},
		})
	}
	return modules
}

func (b *mainBoard) background(context.Context) error { return nil }

func (b *mainBoard) obey(ctx context.Context, do Do) error {
	switch do {
	case DoPlay:
		b.call(ctx)
	case DoFinish:
		b.finishCalling(ctx)
		b.report.Report(Report{Kind: KindFinished})
	}
	return nil
}

// call turns to every charge port again and again until finishCalling or the
// end of the context.
func (b *mainBoard) call(ctx context.Context) {
	finish, finished := make(chan struct{}), make(chan struct{})
	b.mu.Lock()
	b.finish, b.finished = finish, finished
	evses, energies := b.evses, b.energies
	b.mu.Unlock()
	defer close(finished)

	interval := scale(limitsInterval, b.config.Speed)
	var calling sync.WaitGroup
	for _, evse := range evses {
		calling.Go(func() {
			evse.call(ctx, "enable_disable", enableDisable("Enable"))
			repeat(ctx, interval, finish, func(int) { evse.call(ctx, "get_evse", nil) })
		})
	}
	for _, energy := range energies {
		calling.Go(func() {
			repeat(ctx, interval, finish, func(round int) {
				energy.call(ctx, "enforce_limits", b.limits[round%len(b.limits)])
			})
		})
	}
	calling.Wait()
}

// finishCalling lets the calls under way end and then takes every charge port out
// of service and back into it, as OCPP does for maintenance.
func (b *mainBoard) finishCalling(ctx context.Context) {
	b.mu.Lock()
	finish, finished, evses := b.finish, b.finished, b.evses
	b.finish, b.finished = nil, nil
	b.mu.Unlock()
	if finish == nil {
		return
	}
	close(finish)
	<-finished
	var calling sync.WaitGroup
	for _, evse := range evses {
		calling.Go(func() {
			evse.call(ctx, "enable_disable", enableDisable("Disable"))
			evse.call(ctx, "enable_disable", enableDisable("Enable"))
		})
	}
	calling.Wait()
}

func enableDisable(state string) json.RawMessage {
	return json.RawMessage(`{"connector_id":0,"cmd_source":{"enable_source":"CSMS","enable_state":"` + state + `","enable_priority":100}}`)
}

// repeat does something at once and then at each interval.
func repeat(ctx context.Context, interval time.Duration, finish <-chan struct{}, do func(round int)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for round := 0; ; round++ {
		do(round)
		select {
		case <-ticker.C:
		case <-finish:
			return
		case <-ctx.Done():
			return
		}
	}
}
