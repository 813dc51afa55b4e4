package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// extraOptions describe a station whose boards tunnel a vendor's meter.
type extraOptions struct {
	broker everest.Broker
	// agent and main are what each side tunnels.
	agent, main extraSide
	// unconnected leaves the agent's extra requirements without connection.
	unconnected bool
	// requires are further interfaces that the main board's module uses.
	requires []string
	answer   func(context.Context, invocation) (any, error)
	// beforeMain is called when the satellite board runs alone.
	beforeMain func(*extraStation)
}

type extraSide struct {
	tunnel, dialect string
	// definitions are the module's; nil are those of the prefix, or built in.
	definitions *schema.Definitions
	// prefix is an EVerest with the module installed, empty for one that is made.
	prefix string
	keys   map[string]any
	// log is the controller's; nil is the test's.
	log *zap.Logger
}

// extraStation is a satellite board with a port that provides evse_manager, energy
// and the extras, and a main board that requires them.
type extraStation struct {
	t               *testing.T
	satellite, main *board
	port, consumer  *standIn
	agent           *satellite.Agent
	controller      *satellite.Controller
	agentProcess    process
	arrivals        chan arrival
}

// idsOf reads a tunnel key as the tests write it.
func idsOf(tunnel string) map[string]string {
	ids := map[string]string{}
	for entry := range strings.SplitSeq(tunnel, ",") {
		if entry == "" {
			continue
		}
		id, name, named := strings.Cut(entry, ":")
		if !named {
			name = id
		}
		ids[id] = name
	}
	return ids
}

// installed installs a module at a prefix and returns its manifest.
func installed(t *testing.T, prefix string, installation install.Installation, chosen map[string]string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := installation.Install(prefix, program, chosen); err != nil {
		t.Fatal(err)
	}
	manifest, err := install.InstalledManifest(prefix, installation.Module)
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func (s extraSide) manifest(t *testing.T, installation install.Installation) []byte {
	t.Helper()
	prefix := s.prefix
	if prefix == "" {
		prefix = t.TempDir()
	}
	return installed(t, prefix, installation, map[string]string{"tunnel": s.tunnel})
}

// options are what the module starts with: with a prefix of its own it finds
// manifest and definitions there.
func (s extraSide) options(board *board, id string) everest.Options {
	options := board.manager.Options(id)
	options.Definitions = s.definitions
	if s.prefix != "" {
		options.InstallPrefix, options.Manifest = s.prefix, nil
	}
	return options
}

func (s extraSide) config(keys map[string]any) map[string]any {
	if s.dialect != "" {
		keys["dialect"] = s.dialect
	}
	for key, value := range s.keys {
		keys[key] = value
	}
	return keys
}

func startExtraStation(t *testing.T, options extraOptions) *extraStation {
	t.Helper()
	s := &extraStation{t: t, arrivals: make(chan arrival, 10_000)}
	if options.broker == (everest.Broker{}) {
		options.broker = everesttest.NewBroker(t)
	}
	port := everesttest.FreePort(t)

	provided := map[string]string{"evse_manager": "evse_manager", "energy": "energy"}
	connections := map[string][]everesttest.Connection{}
	for id, name := range idsOf(options.agent.tunnel) {
		provided[id] = name
	}
	for id := range provided {
		if _, extra := idsOf(options.agent.tunnel)[id]; extra && options.unconnected {
			continue
		}
		connections[id] = []everesttest.Connection{{ModuleID: portID, ImplementationID: id}}
	}
	s.satellite = newBoard(t, options.broker, map[string]everesttest.ModuleConfig{
		portID: {Module: "ChargePort", Manifest: providing(provided)},
		agentID: {
			Module: "SatelliteAgent", Manifest: options.agent.manifest(t, satellite.AgentInstallation()), Connections: connections,
			Config: options.agent.config(map[string]any{"port": port, "listen_address": "127.0.0.1"}),
		},
	})
	s.port = s.satellite.standIn(portID, provided, func(port *standIn) { port.answer = options.answer })
	s.agent = satellite.NewAgent(satellite.AgentConfig{
		Everest: options.agent.options(s.satellite, agentID), Logger: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)),
	})
	s.agentProcess = s.satellite.run(s.agent.Run)
	if options.beforeMain != nil {
		options.beforeMain(s)
	}

	required := map[string]string{"evse_manager": "evse_manager", "satellite": "satellite"}
	for id, name := range idsOf(options.main.tunnel) {
		required[id] = name
	}
	for _, id := range options.requires {
		required[id] = id
	}
	var requires strings.Builder
	toController := map[string][]everesttest.Connection{}
	for id, name := range required {
		fmt.Fprintf(&requires, "  %s: {interface: %s}\n", id, name)
		toController[id] = []everesttest.Connection{{ModuleID: controllerID, ImplementationID: id}}
	}
	own := map[string]string{"auth": "auth"}
	s.main = newBoard(t, everesttest.NewBroker(t), map[string]everesttest.ModuleConfig{
		mainID: {Module: "Main", Manifest: append(providing(own), "requires:\n"+requires.String()...), Connections: toController},
		controllerID: {
			Module: "SatelliteController", Manifest: options.main.manifest(t, satellite.ControllerInstallation()),
			Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: mainID, ImplementationID: "auth"}}},
			Config:      options.main.config(map[string]any{"hostname": "127.0.0.1", "port": port}),
		},
	})
	s.consumer = s.main.standIn(mainID, own, func(main *standIn) {
		order := everest.OnQueue(main.module.NewQueue("arrivals"))
		for id, name := range required {
			declared, _ := definitions(t).Interface(name)
			for variable := range declared.Variables {
				main.module.Requires(id)[0].Subscribe(variable, func(_ context.Context, value json.RawMessage) {
					s.arrivals <- arrival{id, variable, string(value)}
				}, order)
			}
			main.module.Requires(id)[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
				arrived := arrivalOf(event)
				arrived.Interface = id + " from " + arrived.Interface
				s.arrivals <- arrived
			}, order)
		}
	})
	if options.main.log == nil {
		options.main.log = zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
	}
	s.controller = satellite.NewController(satellite.ControllerConfig{Everest: options.main.options(s.main, controllerID), Logger: options.main.log})
	s.main.run(s.controller.Run)
	s.satellite.waitReady()
	s.main.waitReady()
	return s
}

// call calls a command of the main board's controller.
func (s *extraStation) call(id, command string, arguments any) (json.RawMessage, error) {
	var result json.RawMessage
	err := s.consumer.module.Requires(id)[0].Call(s.t.Context(), command, arguments, &result)
	return result, err
}
