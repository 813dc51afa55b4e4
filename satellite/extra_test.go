package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

const twoMeters = "vendor_meter,second_meter:vendor_meter"

// A vendor's interface crosses with commands, variables and errors, twice of one
// kind, in either dialect.
func TestExtrasCrossTheTunnel(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
				var early everest.Error
				s := startExtraStation(t, extraOptions{
					broker: broker,
					agent:  extraSide{tunnel: twoMeters, dialect: dialect, definitions: definitions(t)},
					main:   extraSide{tunnel: twoMeters, definitions: definitions(t)},
					beforeMain: func(s *extraStation) {
						// The agent subscribes before it waits for its controller.
						waitUntil(t, "the agent waits", func() bool { return s.agent.Status().ListenAddress != "" })
						early = s.raise("second_meter", everest.Error{Type: "vendor_meter/Tampered", SubType: "lid"})
					},
				})
				s.crossCommands()
				s.crossVariablesAndErrors(early)
				for side, status := range map[string]struct {
					dialect             string
					tunnel, differences []string
				}{
					"agent":      {s.agent.Status().Dialect, s.agent.Status().Tunnel, s.agent.Status().Differences},
					"controller": {s.controller.Status().Dialect, s.controller.Status().Tunnel, s.controller.Status().Differences},
				} {
					if status.dialect != dialect || !slices.Equal(status.tunnel, []string{"second_meter", "vendor_meter"}) || len(status.differences) > 0 {
						t.Errorf("the %s's status: %+v", side, status)
					}
				}
			})
		})
	}
}

func (s *extraStation) crossCommands() {
	s.t.Helper()
	samples := sampler{s.t, definitions(s.t)}
	declared, _ := samples.definitions.Interface("vendor_meter")
	for _, id := range []string{"vendor_meter", "second_meter"} {
		for _, name := range slices.Sorted(maps.Keys(declared.Commands)) {
			definition := declared.Commands[name]
			arguments := samples.arguments(definition)
			result, err := s.call(id, name, arguments)
			if want := samples.value(definition.Result); err != nil || string(result) != want {
				s.t.Errorf("%s.%s answered %s, %v, want %s", id, name, result, err, want)
				continue
			}
			if diff := cmp.Diff(invocation{id, name, arguments}, receive(s.t, s.port.calls, name)); diff != "" {
				s.t.Errorf("%s.%s (-want +got):\n%s", id, name, diff)
			}
		}
	}
}

func (s *extraStation) raise(id string, e everest.Error) everest.Error {
	s.t.Helper()
	provided := s.port.module.Provides(id)
	if err := provided.Raise(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
	active := provided.ActiveErrors()
	return active[len(active)-1]
}

func (s *extraStation) clear(id string, e everest.Error) {
	s.t.Helper()
	if err := s.port.module.Provides(id).Clear(s.t.Context(), e.Type, e.SubType); err != nil {
		s.t.Fatal(err)
	}
}

// errorArrival is what a module that requires an implementation of the controller
// receives of an error of the satellite's charge port.
func errorArrival(id string, e everest.Error, raised bool) arrival {
	e.SubType = strings.TrimSpace(e.SubType + " " + e.Origin.ModuleID + "/" + e.Origin.ImplementationID)
	e.Origin = everest.Origin{ModuleID: controllerID, ImplementationID: id}
	arrived := arrivalOf(everest.ErrorEvent{Error: e, Raised: raised})
	arrived.Interface = id + " from " + arrived.Interface
	return arrived
}

func (s *extraStation) crossVariablesAndErrors(early everest.Error) {
	s.t.Helper()
	samples := sampler{s.t, definitions(s.t)}
	declared, _ := samples.definitions.Interface("vendor_meter")
	want := []arrival{errorArrival("second_meter", early, true)}
	for round := range 3 {
		for _, id := range []string{"vendor_meter", "second_meter"} {
			for _, name := range slices.Sorted(maps.Keys(declared.Variables)) {
				value := samples.value(declared.Variables[name].Schema)
				if err := s.port.module.Provides(id).Publish(s.t.Context(), name, json.RawMessage(value)); err != nil {
					s.t.Fatal(err)
				}
				want = append(want, arrival{id, name, value})
			}
			// One type on both implementations, and one that generic modules share.
			for _, errorType := range []string{"vendor_meter/Broken", "generic/CommunicationFault"} {
				raised := s.raise(id, everest.Error{Type: errorType, SubType: fmt.Sprint(round)})
				s.clear(id, raised)
				want = append(want, errorArrival(id, raised, true), errorArrival(id, raised, false))
			}
		}
		// What no tunnelled interface has goes the way of all others.
		raised := s.raise("evse_manager", everest.Error{Type: "evse_manager/Inoperative"})
		s.clear("evse_manager", raised)
		want = append(want, errorArrival("evse_manager", raised, true), errorArrival("evse_manager", raised, false))
	}
	s.clear("second_meter", early)
	want = append(want, errorArrival("second_meter", early, false))
	var got []arrival
	for range want {
		got = append(got, receive(s.t, s.arrivals, "an event"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("arrivals (-want +got):\n%s", diff)
	}
}

// newerMeter is a later release of the vendor's interface.
func newerMeter(t *testing.T) *schema.Definitions {
	t.Helper()
	files := fstest.MapFS{}
	for _, file := range []string{"interfaces/vendor_meter.yaml", "types/vendor_meter.yaml", "errors/vendor_meter.yaml"} {
		content, err := os.ReadFile("testdata/everest/" + file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer(
			"  reset_counter:\n", "  calibrate:\n    description: Is new.\n    result:\n      description: Whether.\n      type: boolean\n  reset_counter:\n",
			"        type: boolean\n    result:", "        type: string\n    result:",
			"  counter:\n", "  voltage:\n    description: Is new.\n    type: number\n  counter:\n",
			"  - reference: /errors/generic#/CommunicationFault\n", "",
		).Replace(string(content))
		files[file] = &fstest.MapFile{Data: []byte(text)}
	}
	newer, err := schema.LoadInterfaces(files, "vendor_meter")
	if err != nil {
		t.Fatal(err)
	}
	return newer.Over(definitions(t))
}

func commandError(t *testing.T, err error) everest.CommandError {
	t.Helper()
	failed, ok := errors.AsType[*everest.CommandError](err)
	if !ok {
		t.Fatalf("%v is no error of a command", err)
	}
	return *failed
}

// Two boards that do not tunnel the same say so, and do the rest.
func TestBoardsThatTunnelOtherThings(t *testing.T) {
	t.Parallel()
	plain, meter := extraSide{}, extraSide{tunnel: "vendor_meter"}
	for _, dialect := range []string{"v2", "legacy"} {
		for _, test := range []struct {
			name        string
			agent, main extraSide
			unconnected bool
			// wantAgent and wantController are the reported differences.
			wantAgent, wantController []string
			// failing are commands with the error that they are answered with.
			failing map[string]string
		}{
			{
				name: "the agent lacks it", agent: plain, main: meter,
				wantAgent:      []string{"vendor_meter: only the main board has it"},
				wantController: []string{"vendor_meter: the satellite does not have it"},
				failing:        map[string]string{"reset_counter": "NotReady: the satellite at ADDRESS does not tunnel vendor_meter.reset_counter: its module needs vendor_meter in its configuration key tunnel"},
			},
			{
				name: "the controller lacks it", agent: meter, main: plain,
				wantAgent:      []string{"vendor_meter: the main board does not have it"},
				wantController: []string{"vendor_meter: only the satellite has it"},
			},
			{
				name: "nothing is connected", agent: meter, main: meter, unconnected: true,
				wantController: []string{"vendor_meter: nothing is connected to it on the satellite"},
				failing:        map[string]string{"lock": "NotReady: nothing on this satellite is connected to the requirement vendor_meter"},
			},
			{
				name: "the main board has a newer release", agent: meter, main: extraSide{tunnel: "vendor_meter", definitions: newerMeter(t)},
				wantAgent: []string{
					"vendor_meter: command calibrate is only known to the main board",
					"vendor_meter: command lock is defined differently on the main board",
					"vendor_meter: error generic/CommunicationFault is unknown to the main board",
					"vendor_meter: variable voltage is only known to the main board",
				},
				wantController: []string{
					"vendor_meter: command calibrate is unknown to the satellite",
					"vendor_meter: command lock is defined differently on the satellite",
					"vendor_meter: error generic/CommunicationFault is only known to the satellite",
					"vendor_meter: variable voltage is unknown to the satellite",
				},
				failing: map[string]string{
					"calibrate": "NotReady: the satellite at ADDRESS does not tunnel vendor_meter.calibrate: its EVerest or its module is of another release, with another interface vendor_meter",
					"lock":      "SchemaValidationError: argument on of vendor_meter.lock: got string, want boolean",
				},
			},
		} {
			t.Run(dialect+"/"+test.name, func(t *testing.T) {
				for _, side := range []*extraSide{&test.agent, &test.main} {
					if side.definitions == nil {
						side.definitions = definitions(t)
					}
				}
				test.agent.dialect = dialect
				if dialect == "legacy" && test.main.tunnel == "" {
					test.wantController = nil // it has nothing to ask for
					test.wantAgent = []string{"vendor_meter: the main board's module has no tunnel for it: give it the same key tunnel, or replace the C++ module there"}
				}
				s := startExtraStation(t, extraOptions{agent: test.agent, main: test.main, unconnected: test.unconnected})
				for command, want := range test.failing {
					arguments := map[string]any{}
					if command == "lock" {
						arguments["on"] = "yes"
						if test.unconnected {
							arguments["on"] = true
						}
					}
					failed := commandError(t, callAs(t, s, test.main.definitions, "vendor_meter", command, arguments))
					got := strings.ReplaceAll(failed.Type+": "+failed.Message, s.controller.Status().Satellite, "ADDRESS")
					if got != want {
						t.Errorf("%s failed with\n%s, want\n%s", command, got, want)
					}
				}
				waitUntil(t, "the agent knows the differences", func() bool {
					return cmp.Equal(test.wantAgent, s.agent.Status().Differences)
				})
				if diff := cmp.Diff(test.wantController, s.controller.Status().Differences); diff != "" {
					t.Errorf("the controller's differences (-want +got):\n%s", diff)
				}
				// The rest works.
				if _, err := s.call("evse_manager", "get_evse", nil); err != nil {
					t.Error(err)
				}
				if test.agent.tunnel != "" {
					if err := s.port.module.Provides("vendor_meter").Publish(t.Context(), "counter", 7); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
					t.Fatal(err)
				}
				want := []arrival{{"evse_manager", "evse_id", `"DE*TST*E1"`}}
				if test.agent.tunnel != "" && test.main.tunnel != "" && !test.unconnected {
					want = append([]arrival{{"vendor_meter", "counter", "7"}}, want...)
				}
				var got []arrival
				for range want {
					got = append(got, receive(t, s.arrivals, "a variable"))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("arrivals (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// callAs calls from a module with definitions of its own.
func callAs(t *testing.T, s *extraStation, known *schema.Definitions, id, command string, arguments any) error {
	t.Helper()
	options := s.main.manager.Options(mainID)
	options.Definitions = known
	module, err := everest.Connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended, called := make(chan error, 1), make(chan error, 1)
	module.OnInit(func(ctx context.Context) error {
		called <- module.Requires(id)[0].Call(ctx, command, arguments, nil)
		return nil
	})
	go func() { ended <- module.Run(ctx) }()
	result := receive(t, called, "the answer")
	cancel()
	receive(t, ended, "the module's end")
	return result
}

// A C++ agent has no such functions; the port works with it all the same.
func TestExtrasWithALegacyAgent(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	for name, answer := range map[string]any{
		link.FunctionIAmHere: false, link.FunctionIAmReady: nil, link.FunctionExit: nil,
		link.FunctionRetrieve: `{"errors":[],"vars":[]}`, "evse_manager_pause_charging": true,
	} {
		if err := server.Handle(name, func(context.Context, *rpc.Request) (any, error) { return answer, nil }); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})

	side := extraSide{tunnel: "vendor_meter", definitions: definitions(t)}
	main := newBoard(t, everesttest.NewBroker(t), map[string]everesttest.ModuleConfig{
		mainID: {
			Module: "Main", Manifest: append(providing(map[string]string{"auth": "auth"}), "requires:\n  vendor_meter: {interface: vendor_meter}\n  evse_manager: {interface: evse_manager}\n"...),
			Connections: map[string][]everesttest.Connection{
				"vendor_meter": {{ModuleID: controllerID, ImplementationID: "vendor_meter"}},
				"evse_manager": {{ModuleID: controllerID, ImplementationID: "evse_manager"}},
			},
		},
		controllerID: {
			Module: "SatelliteController", Manifest: side.manifest(t, satellite.ControllerInstallation()),
			Connections: map[string][]everesttest.Connection{"auth": {{ModuleID: mainID, ImplementationID: "auth"}}},
			Config:      map[string]any{"hostname": "127.0.0.1", "port": listener.Addr().(*net.TCPAddr).Port},
		},
	})
	consumer := main.standIn(mainID, map[string]string{"auth": "auth"}, nil)
	controller := satellite.NewController(satellite.ControllerConfig{Everest: side.options(main, controllerID)})
	main.run(controller.Run)
	main.waitReady()

	if err := consumer.module.Requires("evse_manager")[0].Call(t.Context(), "pause_charging", nil, nil); err != nil {
		t.Error(err)
	}
	failed := commandError(t, consumer.module.Requires("vendor_meter")[0].Call(t.Context(), "reset_counter", nil, nil))
	if failed.Type != everest.NotReady || !strings.Contains(failed.Message, "does not tunnel vendor_meter.reset_counter") {
		t.Errorf("answered %+v", failed)
	}
	want := []string{"vendor_meter: the satellite's module has no tunnel: replace the C++ module or the older release there"}
	if diff := cmp.Diff(want, controller.Status().Differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

// While the satellite is out of service a command is answered as its result allows.
func TestExtrasOutOfService(t *testing.T) {
	t.Parallel()
	side := extraSide{tunnel: "vendor_meter", definitions: definitions(t)}
	main := side
	main.keys = map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 20_000}
	s := startExtraStation(t, extraOptions{agent: side, main: main})
	broken := s.raise("vendor_meter", everest.Error{Type: "vendor_meter/Broken"})
	if got := receive(t, s.arrivals, "the error"); got != errorArrival("vendor_meter", broken, true) {
		t.Errorf("arrived: %v", got)
	}
	s.agentProcess.stop()
	receive(t, s.agentProcess.ended, "the agent's end")
	waitUntil(t, "the port is out of service", func() bool { return s.controller.Status().State == "OutOfService" })
	for command, want := range map[string]string{"reset_counter": "null", "lock": "false", "total": ""} {
		arguments := map[string]any{}
		if command == "lock" {
			arguments["on"] = true
		}
		result, err := s.call("vendor_meter", command, arguments)
		if want == "" {
			if failed := commandError(t, err); failed.Type != everest.NotReady {
				t.Errorf("%s failed with %+v", command, failed)
			}
			continue
		}
		if err != nil || string(result) != want {
			t.Errorf("%s answered %s, %v, want %s", command, result, err, want)
		}
	} // A new agent knows of no error: what the old one has raised is over.
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: side.options(s.satellite, agentID)})
	s.satellite.run(agent.Run)
	for {
		got := receive(t, s.arrivals, "the end of the error")
		if got == errorArrival("vendor_meter", broken, false) {
			break
		}
		// The fault of the link comes and goes, and the main board is told of its EVSE.
		if !strings.HasPrefix(got.Interface, "satellite from ") && !strings.HasPrefix(got.Interface, "evse_manager") {
			t.Errorf("arrived: %v", got)
		}
	}
	if _, err := s.call("vendor_meter", "total", nil); err != nil {
		t.Error(err)
	}
}

// A C++ controller gets what it always got, and no more.
func TestExtrasWithALegacyController(t *testing.T) {
	t.Parallel()
	side := extraSide{tunnel: "vendor_meter", definitions: definitions(t)}
	port := everesttest.FreePort(t)
	implementations := map[string]string{"evse_manager": "evse_manager", "energy": "energy", "vendor_meter": "vendor_meter"}
	connections := map[string][]everesttest.Connection{}
	for id := range implementations {
		connections[id] = []everesttest.Connection{{ModuleID: portID, ImplementationID: id}}
	}
	board := newBoard(t, everesttest.NewBroker(t), map[string]everesttest.ModuleConfig{
		portID: {Module: "ChargePort", Manifest: providing(implementations)},
		agentID: {
			Module: "SatelliteAgent", Manifest: side.manifest(t, satellite.AgentInstallation()), Connections: connections,
			Config: map[string]any{"port": port, "listen_address": "127.0.0.1"},
		},
	})
	meter := board.standIn(portID, implementations, nil)
	agent := satellite.NewAgent(satellite.AgentConfig{Everest: side.options(board, agentID)})
	board.run(agent.Run)
	waitUntil(t, "the agent waits", func() bool { return agent.Status().ListenAddress != "" })

	client, err := rpc.Dial(t.Context(), agent.Status().ListenAddress, rpc.Config{InsecurePlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, function := range []string{link.FunctionIAmHere, link.FunctionIAmReady} {
		if err := client.Call(t.Context(), function, nil); err != nil {
			t.Fatal(err)
		}
	}
	board.waitReady()
	for _, variable := range []struct{ id, name, value string }{
		{"vendor_meter", "counter", `7`}, {"evse_manager", "evse_id", `"DE*TST*E1"`}, {"vendor_meter", "counter", `8`},
	} {
		if err := meter.module.Provides(variable.id).Publish(t.Context(), variable.name, json.RawMessage(variable.value)); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "the agent has everything", func() bool { return agent.Status().Collected == 3 })
	var answer string
	if err := client.Call(t.Context(), link.FunctionRetrieve, &answer); err != nil {
		t.Fatal(err)
	}
	if want := `{"errors":[],"vars":[{"interface":"evse_manager","value":"DE*TST*E1","var":"evse_id"}]}`; answer != want {
		t.Errorf("the controller gets %s, want %s", answer, want)
	}
	if diff := cmp.Diff([]string{"vendor_meter: the main board's module has no tunnel for it: give it the same key tunnel, or replace the C++ module there"}, agent.Status().Differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}
