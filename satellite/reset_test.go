package satellite_test

import (
	"context"
	"encoding/json"
	"net"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

var hardReset = map[string]any{"type": "Hard", "scheduled": false}

// silentSystem takes a reset as EVerest's System does: it never answers, since it
// ends its own process.
func silentSystem(ctx context.Context, _ invocation) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The manager ends the agent because its System ended, and the main board gets an
// answer all the same.
func TestAResetThatTakesTheAgentAlong(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{answerSystem: silentSystem, main: map[string]any{"on_loss": "restart"}})
	answer := make(chan error, 1)
	go func() { answer <- s.main.required("system").Call(t.Context(), "reset", hardReset, nil) }()
	got := receive(t, s.satellite.system.calls, "the reset")
	want := invocation{"system", "reset", everest.Args{"type": json.RawMessage(`"Hard"`), "scheduled": json.RawMessage(`false`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	s.satellite.process.stop()
	if err := receive(t, answer, "the answer to the reset"); err != nil {
		t.Errorf("reset: %v", err)
	}
	if err := receive(t, s.satellite.process.ended, "the agent's end"); err != nil {
		t.Errorf("the agent, told to stop, returned %v", err)
	}
	waitUntil(t, "the controller has parted", func() bool { return s.main.controller.Status().State == "Parted" })
}

// EVerest's EnergyManager ends on an error in the place of the answer to a limit,
// and its board with it; a satellite that is away as expected must not do that. Who
// asks gets the negative result.
func TestCommandsWhileTheSatelliteIsAway(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{main: map[string]any{"on_loss": "restart"}})
	if err := s.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
		t.Errorf("reset: %v", err)
	}
	waitUntil(t, "the controller has parted", func() bool { return s.main.controller.Status().State == "Parted" })
	samples := sampler{t, definitions(t)}
	for _, r := range route.Standard() {
		declared, _ := samples.definitions.Interface(r.Interface)
		for _, command := range r.Commands {
			if command.Until != "" {
				continue
			}
			var result json.RawMessage
			err := s.main.required(r.ID).Call(t.Context(), command.Name, samples.arguments(declared.Commands[command.Name]), &result)
			want := string(command.UnavailableResult())
			if command.Remembered {
				want = `{"connectors":[{"id":1}],"id":2}`
			}
			if err != nil || string(result) != want {
				t.Errorf("%s.%s returned %s, %v, want the negative result %s", r.ID, command.Name, result, err, want)
			}
		}
	}
}

// A C++ agent dies without an answer when its System does. The controller agrees
// with the one that comes after it.
func TestAResetThatCutsTheLink(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	var announced atomic.Int32
	for name, function := range map[string]any{
		link.FunctionIAmHere: func() bool {
			announced.Add(1)
			return false
		},
		link.FunctionIAmReady: func() {},
		link.FunctionRetrieve: func() string { return `{"errors":[],"vars":[]}` },
	} {
		if err := agent.Bind(name, function); err != nil {
			t.Fatal(err)
		}
	}
	if err := agent.Handle("sytem_reset", func(ctx context.Context, _ *rpc.Request) (any, error) {
		return nil, rpc.SessionFrom(ctx).Close()
	}); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- agent.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		agent.Close()
		<-served
	})
	main := startMain(t, everesttest.NewBroker(t), listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{}, nil)
	main.waitReady()
	if err := main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
		t.Errorf("reset: %v", err)
	}
	waitUntil(t, "the controller has announced itself again", func() bool { return announced.Load() == 2 })
	waitUntil(t, "the controller works again", func() bool { return main.controller.Status().State == "Working" })
}
