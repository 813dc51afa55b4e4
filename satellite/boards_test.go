package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// patience is generous: it only ends a test that would hang.
const patience = 60 * time.Second

// invocation is a command that reached a stand-in.
type invocation struct {
	Implementation, Command string
	Arguments               everest.Args
}

// standIn is a module that provides one implementation of every tunnelled
// interface (a charge port) or requires one (the main board's modules). Tests
// drive it.
type standIn struct {
	module *everest.Module
	calls  chan invocation
	// answer is asked for the result of a command; nil answers a sample.
	answer func(context.Context, invocation) (any, error)
}

// board is one board: a broker, a manager, modules that run until the test ends.
type board struct {
	t       testing.TB
	manager *everesttest.Manager
	running sync.WaitGroup
	ctx     context.Context
}

func newBoard(t testing.TB, broker everest.Broker, modules map[string]everesttest.ModuleConfig) *board {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker: broker, Modules: modules, Definitions: definitions(t), Logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	b := &board{t: t, manager: manager, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		b.running.Wait()
		if err := manager.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// process is a module that runs.
type process struct {
	// stop is what SIGTERM does.
	stop  context.CancelFunc
	ended chan error
}

// run runs a module's Run until the test ends, or stop does.
func (b *board) run(run func(context.Context) error) process {
	ctx, cancel := context.WithCancel(b.ctx)
	p := process{stop: cancel, ended: make(chan error, 1)}
	b.running.Go(func() {
		defer cancel()
		p.ended <- run(ctx)
	})
	return p
}

// standIn connects a module whose commands go to its calls, and prepares it with
// setup before it runs.
func (b *board) standIn(id string, implementations map[string]string, setup func(*standIn)) *standIn {
	b.t.Helper()
	module, err := everest.Connect(b.ctx, b.manager.Options(id))
	if err != nil {
		b.t.Fatal(err)
	}
	s := &standIn{module: module, calls: make(chan invocation, 1000)}
	samples := sampler{b.t, definitions(b.t)}
	for implementation, name := range implementations {
		declared, _ := samples.definitions.Interface(name)
		for _, command := range declared.Commands {
			result := json.RawMessage(samples.value(command.Result))
			module.Provides(implementation).Handle(command.Name, func(ctx context.Context, arguments everest.Args) (any, error) {
				call := invocation{implementation, command.Name, arguments}
				s.calls <- call
				if s.answer != nil {
					return s.answer(ctx, call)
				}
				return result, nil
			})
		}
	}
	if setup != nil {
		setup(s)
	}
	b.run(func(ctx context.Context) error {
		defer module.Close()
		return module.Run(ctx)
	})
	return s
}

// through returns a module's options. The module connects to the broker given, if there is one.
func (b *board) through(id string, broker everest.Broker) everest.Options {
	options := b.manager.Options(id)
	if broker != (everest.Broker{}) {
		options.Broker = broker
	}
	return options
}

func (b *board) waitReady() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := b.manager.WaitReady(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// definitions are EVerest's, and those of a vendor's interface.
var definitions = func() func(t testing.TB) *schema.Definitions {
	load := sync.OnceValues(func() (*schema.Definitions, error) {
		vendor, err := schema.LoadInterfaces(os.DirFS("testdata/everest"), "vendor_meter")
		if err != nil {
			return nil, err
		}
		known, err := satellite.Definitions()
		return known.Over(vendor), err
	})
	return func(t testing.TB) *schema.Definitions {
		t.Helper()
		known, err := load()
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
}()

// Module ids, as in the recordings.
const (
	portID       = "connector"
	systemID     = "system"
	agentID      = "remote_controller"
	controllerID = "connector_2"
	mainID       = "main"
)

// implementationsOf returns the interfaces of the tunnelled implementations,
// those of the system apart: it is a module of its own.
func implementationsOf(withSystem bool) map[string]string {
	implementations := map[string]string{}
	for _, r := range route.Standard() {
		if (r.ID == "system") == withSystem {
			implementations[r.ID] = r.Interface
		}
	}
	return implementations
}

func providing(implementations map[string]string) []byte {
	var text strings.Builder
	text.WriteString("description: stand-in\nmetadata: {license: \"https://example.org\", authors: [test]}\nprovides:\n")
	for id, name := range implementations {
		fmt.Fprintf(&text, "  %s: {interface: %s, description: stand-in}\n", id, name)
	}
	return []byte(text.String())
}

// satelliteBoard starts a satellite board with a charge port, a system if asked
// for, and an agent that listens on port; optional leaves out what the agent
// does not need.
type satelliteBoard struct {
	*board
	port, system *standIn
	agent        *satellite.Agent
	process      process
	address      string
}

type satelliteOptions struct {
	noSystem, onlyMandatory bool
	agent                   satellite.AgentConfig
	port                    int
	answer, answerSystem    func(context.Context, invocation) (any, error)
	// dialect, keys and main are configuration keys of the agent and the
	// controller.
	dialect    string
	keys, main map[string]any
	// mainBroker is the main board's; nil is an embedded one.
	mainBroker func() everest.Broker
	controller satellite.ControllerConfig
	// definitions are those of the agent's EVerest, if of another release.
	definitions *schema.Definitions
	// modules are further ones of the satellite board.
	modules map[string]everesttest.ModuleConfig
	// controllerPort is where the controller looks for the agent, if elsewhere.
	controllerPort int
}

func startSatellite(t testing.TB, broker everest.Broker, options satelliteOptions) *satelliteBoard {
	t.Helper()
	if options.port == 0 {
		options.port = everesttest.FreePort(t)
	}
	connections := map[string][]everesttest.Connection{}
	for _, r := range route.Standard() {
		mandatory := r.ID == "energy" || r.ID == "evse_manager"
		switch {
		case options.onlyMandatory && !mandatory:
		case r.ID == "system":
			if !options.noSystem {
				connections[r.ID] = []everesttest.Connection{{ModuleID: systemID, ImplementationID: "system"}}
			}
		default:
			connections[r.ID] = []everesttest.Connection{{ModuleID: portID, ImplementationID: r.ID}}
		}
	}
	if options.dialect == "" {
		options.dialect = "auto"
	}
	keys := map[string]any{"port": options.port, "listen_address": "127.0.0.1", "dialect": options.dialect}
	maps.Copy(keys, options.keys)
	agent := options.agent.Installation
	if agent.Module == "" {
		agent = satellite.AgentInstallation()
	}
	modules := map[string]everesttest.ModuleConfig{
		portID:   {Module: "ChargePort", Manifest: providing(implementationsOf(false))},
		systemID: {Module: "System", Manifest: providing(implementationsOf(true))},
		agentID: {
			Module: agent.Module, Manifest: agent.Manifest, Connections: connections,
			Config: keys,
		},
	}
	maps.Copy(modules, options.modules)
	s := &satelliteBoard{board: newBoard(t, broker, modules), address: fmt.Sprintf("127.0.0.1:%d", options.port)}
	s.port = s.standIn(portID, implementationsOf(false), func(port *standIn) { port.answer = options.answer })
	s.system = s.standIn(systemID, implementationsOf(true), func(system *standIn) { system.answer = options.answerSystem })
	given := options.agent.Everest
	options.agent.Everest = s.through(agentID, given.Broker)
	if given.Spawned != nil {
		options.agent.Everest.Spawned, options.agent.Everest.Logger = given.Spawned, given.Logger
	}
	if options.definitions != nil {
		options.agent.Everest.Definitions = options.definitions
	}
	if options.agent.Logger == nil {
		options.agent.Logger = zaptest.NewLogger(t)
	}
	s.agent = satellite.NewAgent(options.agent)
	s.process = s.run(s.agent.Run)
	return s
}

// mainBoard is a main board with a controller and one stand-in for all of its
// other modules.
type mainBoard struct {
	*board
	main       *standIn
	controller *satellite.Controller
	process    process
}

func startMain(t testing.TB, broker everest.Broker, port int, config satellite.ControllerConfig, setup func(*standIn)) *mainBoard {
	t.Helper()
	return startMainWith(t, broker, port, config, nil, setup)
}

func startMainWith(t testing.TB, broker everest.Broker, port int, config satellite.ControllerConfig, keys map[string]any, setup func(*standIn)) *mainBoard {
	t.Helper()
	return startMainMapped(t, broker, port, config, keys, &everest.Mapping{EVSE: 2}, setup)
}

func startMainMapped(t testing.TB, broker everest.Broker, port int, config satellite.ControllerConfig, keys map[string]any, mapping *everest.Mapping, setup func(*standIn)) *mainBoard {
	t.Helper()
	parameters := map[string]any{"hostname": "127.0.0.1", "port": port}
	maps.Copy(parameters, keys)
	controller := satellite.ControllerInstallation()
	var requires strings.Builder
	connections := map[string][]everesttest.Connection{}
	require := func(id, name string) {
		fmt.Fprintf(&requires, "  %s: {interface: %s}\n", id, name)
		connections[id] = []everesttest.Connection{{ModuleID: controllerID, ImplementationID: id}}
	}
	for _, r := range route.Standard() {
		require(r.ID, r.Interface)
	}
	require("satellite", "satellite")
	own := map[string]string{"auth": "auth", "aggregated": "system"}
	modules := map[string]everesttest.ModuleConfig{
		mainID: {Module: "Main", Manifest: append(providing(own), "requires:\n"+requires.String()...), Connections: connections},
		controllerID: {
			Module: controller.Module, Manifest: controller.Manifest,
			Mapping: &everesttest.ModuleMapping{Module: mapping},
			Connections: map[string][]everesttest.Connection{
				"auth":   {{ModuleID: mainID, ImplementationID: "auth"}},
				"system": {{ModuleID: mainID, ImplementationID: "aggregated"}},
			},
			Config: parameters,
		},
	}
	m := &mainBoard{board: newBoard(t, broker, modules)}
	m.main = m.standIn(mainID, own, setup)
	config.Everest = m.through(controllerID, config.Everest.Broker)
	if config.Logger == nil {
		config.Logger = zaptest.NewLogger(t)
	}
	m.controller = satellite.NewController(config)
	m.process = m.run(m.controller.Run)
	return m
}

func (m *mainBoard) required(id string) *everest.Required { return m.main.module.Requires(id)[0] }

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}
