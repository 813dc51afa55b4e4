package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/strict"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// StandIns is a World without EVerest: the stand-ins of package strict with the embedded broker, and the Go modules.
type StandIns struct {
	// Logger gets the logs of all modules. It may be nil.
	Logger *zap.Logger
	// Quicker is how many times faster than on a real station everything goes that the scenarios of [Outages] wait for: the
	// times of the configuration, the limits, and the outages themselves. 0 is 1.
	Quicker int
}

// errBoardEnded is the cause of the end of a station.
var errBoardEnded = errors.New("the station is closed")

// Start implements World.
func (w StandIns) Start(ctx context.Context, pairing Pairing, setup Setup) (*Station, error) {
	known, err := satellite.Definitions()
	if err != nil {
		return nil, err
	}
	ports, err := board.FreePorts(1)
	if err != nil {
		return nil, err
	}
	j := newJournal()
	// On a machine that is busy with other tests, a sign of life may be late. No scenario is about a lost link.
	where := places{address: board.Address, port: ports[0], linkTimeout: 60000}
	station := &Station{setup: setup, journal: j, main: newMainProbe(j), satellite: newSatelliteProbe(j)}
	build := standInBoard{known: known, knowsError: errorTypes(known), journal: j, log: w.Logger, quicker: max(w.Quicker, 1)}
	if build.log == nil {
		build.log = zap.NewNop()
	}
	if setup.Outage != nil {
		return w.startOutage(ctx, pairing, setup, build, ports[0])
	}
	mainModules, err := build.modules(mainBoard(pairing, setup, where), setup.Debug, station.main, nil)
	if err != nil {
		return nil, err
	}
	satelliteModules, err := build.modules(satelliteBoard(pairing, setup, where), false, station.satellite, nil)
	if err != nil {
		return nil, err
	}
	broker, err := everesttest.StartBroker(everesttest.BrokerConfig{})
	if err != nil {
		return nil, err
	}
	station.tap, err = startTap(ctx, broker.Address(), setup.SatelliteID)
	if err != nil {
		return nil, errors.Join(err, broker.Close())
	}

	running, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var boards sync.WaitGroup
	run := func(place, url string, modules []board.Module) {
		boards.Go(func() {
			err := board.Run(running, board.Config{
				Broker: url, Modules: modules, Definitions: known, Logger: build.log.Named(place), Ready: func() {},
			})
			if err != nil {
				j.add(Observation{Place: place, Kind: ended, Name: err.Error()})
			}
		})
	}
	run(onSatellite, broker.Address().String(), satelliteModules)
	run(onMain, "", mainModules)
	station.stop = func() error {
		end(errBoardEnded)
		boards.Wait()
		return errors.Join(station.tap.recorder.Close(), broker.Close())
	}
	if err := station.waitReady(ctx, station.main, station.satellite); err != nil {
		return nil, errors.Join(err, station.Close())
	}
	return station, nil
}

// standInBoard makes the modules of a board.
type standInBoard struct {
	known      *schema.Definitions
	knowsError func(string) bool
	journal    *journal
	log        *zap.Logger
	quicker    int
}

// errorTypes returns a function that reports whether EVerest defines an error type.
func errorTypes(known *schema.Definitions) func(string) bool {
	types := map[string]bool{}
	for _, name := range known.ErrorNamespaces() {
		namespace, _ := known.ErrorNamespace(name)
		for _, declared := range namespace.Errors {
			types[name+"/"+declared.Name] = true
		}
	}
	return func(errorType string) bool { return types[errorType] }
}

// modules leaves out what has no stand-in: the simulators, which are part of the EvseManager here, and modules that only
// real ones require.
func (b standInBoard) modules(entries []module, debug bool, p *probe, memory *strict.Memory) ([]board.Module, error) {
	shared := &strict.Board{Modules: map[string][]string{}, Debug: debug, KnowsError: b.knowsError, Backend: recordBackend(b.journal), Logger: b.log, Memory: memory}
	if memory != nil {
		shared.ValidFor = validity / b.quicker
	}
	parsed := map[string]*install.Manifest{}
	manifests := map[string][]byte{}
	for _, entry := range entries {
		manifest, there := standInManifest(entry.name)
		if !there {
			continue
		}
		read, err := install.ParseManifest(manifest)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.name, err)
		}
		parsed[entry.id], manifests[entry.id] = read, manifest
		shared.Modules[entry.id] = read.ImplementationIDs()
	}
	var modules []board.Module
	for _, entry := range entries {
		if parsed[entry.id] == nil {
			continue
		}
		run, err := b.life(entry.name, shared, p)
		if err != nil {
			return nil, err
		}
		modules = append(modules, board.Module{ID: entry.id, Config: entryConfig(entry, parsed, manifests[entry.id]), Run: run})
	}
	return modules, nil
}

func standInManifest(name string) ([]byte, bool) {
	switch name {
	case "MainProbe", "SatelliteProbe":
		return manifestOf(name), true
	case "SatelliteController":
		return satellite.ControllerInstallation().Manifest, true
	case "SatelliteAgent":
		return satellite.AgentInstallation().Manifest, true
	}
	return strict.Manifest(name)
}

// entryConfig returns the configuration of a module, without what its stand-in does not have.
func entryConfig(entry module, parsed map[string]*install.Manifest, manifest []byte) everesttest.ModuleConfig {
	own := parsed[entry.id]
	config := maps.Clone(entry.config)
	maps.DeleteFunc(config, func(key string, _ any) bool {
		_, declared := own.Config[key]
		return !declared
	})
	connections := map[string][]everesttest.Connection{}
	for requirement, all := range entry.connections {
		if _, declared := own.Requires[requirement]; !declared {
			continue
		}
		for _, connection := range all {
			id, implementation := split(connection)
			if parsed[id] != nil && slices.Contains(parsed[id].ImplementationIDs(), implementation) {
				connections[requirement] = append(connections[requirement], board.To(id, implementation)...)
			}
		}
	}
	made := everesttest.ModuleConfig{Module: entry.name, Manifest: manifest, Config: config, Connections: connections}
	if entry.evse > 0 || len(entry.evses) > 0 {
		made.Mapping = &everesttest.ModuleMapping{Implementations: map[string]everest.Mapping{}}
		if entry.evse > 0 {
			made.Mapping.Module = &everest.Mapping{EVSE: entry.evse}
		}
		for implementation, evse := range entry.evses {
			made.Mapping.Implementations[implementation] = everest.Mapping{EVSE: evse}
		}
	}
	return made
}

// life returns what runs a module.
func (b standInBoard) life(name string, shared *strict.Board, p *probe) (func(context.Context, everest.Options) error, error) {
	switch name {
	case "MainProbe", "SatelliteProbe":
		return p.run, nil
	case "SatelliteController":
		return func(ctx context.Context, options everest.Options) error {
			return satellite.NewController(satellite.ControllerConfig{
				Everest: options, Logger: options.Logger,
				Handshake: handshake.ControllerConfig{Retry: 50 * time.Millisecond}, // these boards start within a blink
			}).Run(ctx)
		}, nil
	case "SatelliteAgent":
		return func(ctx context.Context, options everest.Options) error {
			return satellite.NewAgent(satellite.AgentConfig{Everest: options, Logger: options.Logger}).Run(ctx)
		}, nil
	}
	return shared.Run(name)
}

// recordBackend records what OCPP sends.
func recordBackend(j *journal) func(action string, payload map[string]any) {
	return func(action string, payload map[string]any) {
		value, err := json.Marshal(payload)
		if err != nil {
			return
		}
		j.add(atBackendOf(action, value))
	}
}

// atBackendOf returns the observation of an OCPP message.
func atBackendOf(action string, payload json.RawMessage) Observation {
	var of struct{ ConnectorID int }
	_ = json.Unmarshal(payload, &of) // a message without a connector is of the station
	return Observation{Place: atBackend, Kind: message, EVSE: of.ConnectorID, Name: action, Value: payload}
}
