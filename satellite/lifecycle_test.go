package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// legacyController is a connection on which a test calls what it likes.
func legacyController(t *testing.T, s *satelliteBoard) *rpc.Client {
	t.Helper()
	client := rpc.NewClient(dialAgent(t, s), rpc.Config{})
	t.Cleanup(func() { client.Close() })
	return client
}

func announce(t *testing.T, client *rpc.Client) (known bool) {
	t.Helper()
	if err := client.Call(t.Context(), link.FunctionIAmHere, &known); err != nil {
		t.Fatal(err)
	}
	return known
}

func meet(t *testing.T, s *satelliteBoard) *rpc.Client {
	t.Helper()
	client := legacyController(t, s)
	if announce(t, client) {
		t.Fatal("the agent knows a controller already")
	}
	if err := client.Call(t.Context(), link.FunctionIAmReady, nil); err != nil {
		t.Fatal(err)
	}
	s.waitReady()
	return client
}

func (s *satelliteBoard) expectReset(t *testing.T) {
	t.Helper()
	got := receive(t, s.system.calls, "the reset of the board")
	want := invocation{"system", "reset", everest.Args{"type": json.RawMessage(`"Soft"`), "scheduled": json.RawMessage(`false`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

func expectClosed(t *testing.T, client *rpc.Client) {
	t.Helper()
	receive(t, client.Done(), "the end of the session")
}

func expectEnd(t *testing.T, p process, want handshake.Reason) {
	t.Helper()
	err := receive(t, p.ended, "the end of the process")
	end, ok := errors.AsType[*satellite.EndError](err)
	if !ok || end.Reason != want {
		t.Errorf("Run returned %v, want an EndError because of %v", err, want)
	}
}

func TestWorkFunctionsAppearWithTheController(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	client := legacyController(t, s)
	err := client.Call(t.Context(), "evse_manager_get_evse", nil)
	if !errors.Is(err, rpc.ErrMethodNotFound) {
		t.Errorf("before i_am_here: %v, want ErrMethodNotFound", err)
	}
	if announce(t, client) {
		t.Error("the first controller is not the first")
	}
	var events string
	if err := client.Call(t.Context(), link.FunctionRetrieve, &events); err != nil || events != `{"errors":[],"vars":[]}` {
		t.Errorf("after i_am_here: %s, %v", events, err)
	}
}

// The satellite's EVerest must not start without the main board's.
func TestInitWaitsForIAmReady(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	client := legacyController(t, s)
	announce(t, client)
	waitUntil(t, "all modules but the agent are ready", func() bool { return len(s.manager.Missing()) == 1 })
	if missing := s.manager.Missing(); missing[0] != agentID {
		t.Errorf("%v is missing, want the agent", missing)
	}
	for range 2 {
		if err := client.Call(t.Context(), link.FunctionIAmReady, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.waitReady()
}

// What is published before anybody has come is kept.
func TestEarlyVariablesAreKept(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	dialAgent(t, s).Close()
	if err := s.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the variable is collected", func() bool { return s.agent.Status().Journal == 1 })
	client := meet(t, s)
	var events string
	if err := client.Call(t.Context(), link.FunctionRetrieve, &events); err != nil || !strings.Contains(events, "DE*TST*E1") {
		t.Errorf("retrieved %s, %v", events, err)
	}
}

func TestASecondControllerRestartsTheBoard(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	first := meet(t, s)
	second := legacyController(t, s)
	if !announce(t, second) {
		t.Error("the second controller was not told that it is the second")
	}
	expectClosed(t, first)
	expectClosed(t, second)
	s.expectReset(t)
	if connection, err := net.Dial("tcp", s.address); err == nil {
		connection.Close()
		t.Error("the agent's port is still open")
	}
}

func TestExitRestartsTheBoard(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	client := meet(t, s)
	if err := client.Call(t.Context(), link.FunctionExit, nil); err != nil {
		t.Errorf("exit was not answered: %v", err)
	}
	expectClosed(t, client)
	s.expectReset(t)
}

func TestExitEndsTheProcessWithoutASystem(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{noSystem: true})
	client := meet(t, s)
	if err := client.Call(t.Context(), link.FunctionExit, nil); err != nil {
		t.Errorf("exit was not answered: %v", err)
	}
	expectEnd(t, s.process, handshake.PeerLeft)
}

func TestASilentControllerRestartsTheBoard(t *testing.T) {
	t.Parallel()
	options := satelliteOptions{agent: satellite.AgentConfig{Handshake: handshake.AgentConfig{HeartbeatTimeout: 200 * time.Millisecond}}}
	s := startSatellite(t, everesttest.NewBroker(t), options)
	meet(t, s)
	s.expectReset(t)
}

func TestAJournalThatNobodyEmptiesRestartsTheBoard(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{agent: satellite.AgentConfig{Limits: satellite.Limits{Events: 5}}})
	meet(t, s)
	for range 6 {
		if err := s.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
			t.Fatal(err)
		}
	}
	s.expectReset(t)
	if status := s.agent.Status(); status.GivenUp == 0 || status.Journal != 5 {
		t.Errorf("status %+v, want given up events and a full journal", status)
	}
}

// A reset through the tunnel is answered although the board goes down, and the
// main board takes the loss for what it is.
func TestResetEndsTheSession(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{main: map[string]any{"on_loss": "restart"}})
	if err := s.main.required("system").Call(t.Context(), "reset", map[string]any{"type": "Hard", "scheduled": true}, nil); err != nil {
		t.Errorf("reset: %v", err)
	}
	got := receive(t, s.satellite.system.calls, "the reset")
	want := invocation{"system", "reset", everest.Args{"type": json.RawMessage(`"Hard"`), "scheduled": json.RawMessage(`true`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	waitUntil(t, "the controller has parted", func() bool { return s.main.controller.Status().State == "Parted" })
	var paused bool
	if err := s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, &paused); err != nil || paused {
		t.Errorf("pause_charging after the reset returned %v, %v, want the negative result", paused, err)
	}
}

func TestALostAgentEndsTheController(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: "legacy"})
	s.satellite.process.stop()
	if err := receive(t, s.satellite.process.ended, "the agent's end"); err != nil {
		t.Errorf("the agent, told to stop, returned %v", err)
	}
	expectEnd(t, s.main.process, handshake.ConnectionLost)
}

func TestAnAgentThatInstallsFirmwareMayGo(t *testing.T) {
	t.Parallel()
	controller := satellite.ControllerConfig{Handshake: handshake.ControllerConfig{ResumeWindow: time.Second}}
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{controller: controller, main: map[string]any{"on_loss": "restart"}})
	arguments := sampler{t, definitions(t)}
	declared, _ := arguments.definitions.Interface("system")
	var answer string
	if err := s.main.required("system").Call(t.Context(), "update_firmware", arguments.arguments(declared.Commands["update_firmware"]), &answer); err != nil || answer != "Accepted" {
		t.Fatalf("update_firmware answered %s, %v", answer, err)
	}
	s.satellite.process.stop()
	waitUntil(t, "the controller has parted", func() bool { return s.main.controller.Status().State == "Parted" })
}

func TestAControllerThatStopsSaysGoodBye(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{})
	s.main.process.stop()
	if err := receive(t, s.main.process.ended, "the controller's end"); err != nil {
		t.Errorf("the controller, told to stop, returned %v", err)
	}
	s.satellite.expectReset(t)
}

func TestTheControllerWaitsForItsAgent(t *testing.T) {
	t.Parallel()
	port := everesttest.FreePort(t)
	main := startMain(t, everesttest.NewBroker(t), port, satellite.ControllerConfig{Handshake: handshake.ControllerConfig{Retry: 20 * time.Millisecond}}, nil)
	waitUntil(t, "the controller has been refused", func() bool { return main.controller.Status().State == "Pausing" })
	board := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
	main.waitReady()
	board.waitReady()
}

// A wrong call gets an error and changes nothing.
func TestBadCallsAreAnswered(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	client := meet(t, s)
	for _, test := range []struct {
		function  string
		arguments []any
		want      string
	}{
		{"no_such_function", nil, "could not find function 'no_such_function'"},
		{"evse_manager_reserve", []any{"seven"}, "std::bad_cast"},
		{"evse_manager_reserve", nil, "invalid number of arguments"},
		{"energy_enforce_limits", []any{"{"}, `argument value: "{" is not JSON`},
		{"push_var", []any{"{}"}, "lacks interface, var or value"},
		{"push_var", []any{"nonsense"}, "not the expected JSON"},
		{"retrieve_vars_and_errors", []any{1}, "invalid number of arguments"},
		{"i_am_here", []any{1}, "invalid number of arguments"},
	} {
		err := client.Call(t.Context(), test.function, nil, test.arguments...)
		if remote, ok := errors.AsType[*rpc.RemoteError](err); !ok || !strings.Contains(fmt.Sprint(remote.Value), test.want) {
			t.Errorf("%s%v: %v, want %q", test.function, test.arguments, err, test.want)
		}
	}
	if err := client.Call(t.Context(), "push_var", nil, `{"interface":"evse_manager","var":"limits","value":1}`); err != nil {
		t.Errorf("a variable that is none of ours: %v, want it to be ignored", err)
	}
	if calls := drain(s.port.calls); len(calls) != 0 {
		t.Errorf("reached the satellite's modules: %v", calls)
	}
	if err := client.Call(t.Context(), "evse_manager_get_evse", nil); err != nil {
		t.Errorf("after bad calls: %v", err)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: listener.Addr().(*net.TCPAddr).Port})
	err = receive(t, s.process.ended, "the agent's end")
	if err == nil || !strings.Contains(err.Error(), listener.Addr().String()) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Run returned %v, want one line that names the address", err)
	}
}

func TestABrokerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	address := everest.Broker{Host: "127.0.0.1", Port: everesttest.FreePort(t)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, run := range map[string]func(context.Context) error{
		"agent":      satellite.NewAgent(satellite.AgentConfig{Everest: everest.Options{ModuleID: "a", Broker: address}}).Run,
		"controller": satellite.NewController(satellite.ControllerConfig{Everest: everest.Options{ModuleID: "a", Broker: address}}).Run,
	} {
		if err := run(ctx); err == nil || !strings.Contains(err.Error(), fmt.Sprint(address.Port)) {
			t.Errorf("%s: Run returned %v, want an error that names the broker", name, err)
		}
	}
}
