package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// startCabled starts a station whose boards are connected by a cable.
func startCabled(t *testing.T, options satelliteOptions) (*station, *cable) {
	t.Helper()
	options.port = everesttest.FreePort(t)
	cable := newCable(t, fmt.Sprintf("127.0.0.1:%d", options.port))
	options.controllerPort = cable.port()
	return startStation(t, everesttest.NewBroker(t), options), cable
}

// Each side may be an old one: what they speak is found out.
func TestPairingsOfDialects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ agent, controller, want string }{
		{"auto", "auto", "v2"},
		{"v2", "v2", "v2"},
		{"legacy", "auto", "legacy"},
		{"auto", "legacy", "legacy"},
		{"legacy", "legacy", "legacy"},
	} {
		t.Run("agent "+test.agent+", controller "+test.controller, func(t *testing.T) {
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				dialect: test.agent, main: map[string]any{"dialect": test.controller},
			})
			if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
				t.Error(err)
			}
			if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, s.arrivals, "evse_id"); got.Value != `"DE*TST*E1"` {
				t.Errorf("arrived: %v", got)
			}
			if agent, controller := s.satellite.agent.Status().Dialect, s.main.controller.Status().Dialect; agent != test.want || controller != test.want {
				t.Errorf("the agent speaks %q and the controller %q, want %q", agent, controller, test.want)
			}
		})
	}
}

// While the link flaps, every event arrives once and in order, every command is
// executed once and answered, and nobody restarts.
func TestAFlappingLinkLosesNothing(t *testing.T) {
	t.Parallel()
	const events, commands, flaps = 400, 60, 12
	var lock sync.Mutex
	executed := map[string]int{}
	// No command may end meanwhile for want of a link: on a busy machine several cuts cost more than the default of 2 s.
	main := verbatim()
	main["command_wait_ms"] = 60_000
	s, cable := startCabled(t, satelliteOptions{main: main, answer: func(_ context.Context, call invocation) (any, error) {
		lock.Lock()
		defer lock.Unlock()
		executed[string(call.Arguments["reservation_id"])]++
		return json.RawMessage("true"), nil
	}})
	var work sync.WaitGroup
	work.Go(func() {
		provided := s.satellite.port.module.Provides("evse_manager")
		for i := range events {
			if err := provided.Publish(t.Context(), "evse_id", fmt.Sprintf("DE*TST*E%d", i)); err != nil {
				t.Error(err)
			}
			if i%40 == 0 {
				failure := everest.Error{Type: "evse_manager/Inoperative", SubType: fmt.Sprint(i)}
				if err := errors.Join(provided.Raise(t.Context(), failure), provided.Clear(t.Context(), failure.Type, failure.SubType)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	work.Go(func() {
		for i := range commands {
			if err := s.main.required("evse_manager").Call(t.Context(), "reserve", map[string]any{"reservation_id": i}, nil); err != nil {
				t.Errorf("command %d: %v", i, err)
			}
		}
	})
	for range flaps {
		resumes := s.main.controller.Status().Resumes
		cable.cut()
		waitUntil(t, "the link is resumed", func() bool { return s.main.controller.Status().Resumes > resumes })
	}
	work.Wait()
	var want, got []string
	for i := range events {
		want = append(want, fmt.Sprintf(`evse_id "DE*TST*E%d"`, i))
		if i%40 == 0 {
			for _, raised := range []bool{true, false} {
				want = append(want, fmt.Sprintf("evse_manager/Inoperative/%d %v", i, raised))
			}
		}
	}
	for range want {
		arrived := receive(t, s.arrivals, "an event")
		if arrived.Variable == "evse_id" {
			got = append(got, arrived.Variable+" "+arrived.Value)
		} else {
			raised, _, _ := cutSpace(arrived.Value)
			got = append(got, arrived.Variable+" "+raised)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	if len(executed) != commands {
		t.Errorf("%d commands were executed, want %d", len(executed), commands)
	}
	for id, times := range executed {
		if times != 1 {
			t.Errorf("command %s was executed %d times", id, times)
		}
	}
	if more := drain(s.arrivals); len(more) > 0 {
		t.Errorf("arrived besides: %v", more)
	}
	if status := s.satellite.agent.Status(); status.GivenUp != 0 || status.Resumes < flaps {
		t.Errorf("agent's status %+v", status)
	}
	waitUntil(t, "everything is acknowledged", func() bool { return s.satellite.agent.Status().Journal == 0 })
}

func cutSpace(text string) (before, after string, found bool) {
	for i := range text {
		if text[i] == ' ' {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// A cable that is out tells nobody: both sides notice by themselves, and what
// happened meanwhile arrives when it is back.
func TestAPulledCableIsNoticed(t *testing.T) {
	t.Parallel()
	s, cable := startCabled(t, satelliteOptions{main: map[string]any{"link_timeout_ms": 200}})
	cable.pull()
	waitUntil(t, "both have noticed", func() bool {
		return s.main.controller.Status().State == "Resuming" && s.satellite.agent.Status().State == "Resuming"
	})
	// A caller that repeats itself must not be held up: it has other ports.
	declared, _ := definitions(t).Interface("energy")
	limits := sampler{t, definitions(t)}.arguments(declared.Commands["enforce_limits"])
	if err := s.main.required("energy").Call(t.Context(), "enforce_limits", limits, nil); err != nil {
		t.Errorf("enforce_limits: %v", err)
	}
	answered := make(chan error, 1)
	go func() { answered <- s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, nil) }()
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E7"); err != nil {
		t.Fatal(err)
	}
	var connected bool
	if err := s.main.required("satellite").Call(t.Context(), "is_connected", nil, &connected); err != nil || connected {
		t.Errorf("is_connected answered %v, %v", connected, err)
	}
	cable.heal()
	if got := receive(t, s.arrivals, "evse_id"); got.Value != `"DE*TST*E7"` {
		t.Errorf("arrived: %v", got)
	}
	if err := receive(t, answered, "the answer of a command that waited"); err != nil {
		t.Error(err)
	}
}

// Beyond the window both boards start afresh.
func TestAWindowThatPassesRestartsBoth(t *testing.T) {
	t.Parallel()
	s, cable := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "restart", "resume_window_s": 1}})
	cable.takeOut()
	expectEnd(t, s.main.process, handshake.ConnectionLost)
	s.satellite.expectReset(t)
}

func TestARestartedAgentEndsTheController(t *testing.T) {
	t.Parallel()
	s, _ := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "restart"}})
	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	options := s.satellite.manager.Options(agentID)
	s.satellite.run(satellite.NewAgent(satellite.AgentConfig{Everest: options}).Run)
	expectEnd(t, s.main.process, handshake.PeerRestarted)
}

// With on_loss isolate a dead satellite takes down one port, and its successor
// brings it back, without what was wrong with the old one.
func TestALostSatelliteIsIsolated(t *testing.T) {
	t.Parallel()
	s, _ := startCabled(t, satelliteOptions{main: map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 20_000}})
	failure := everest.Error{Type: "evse_manager/Inoperative", SubType: "old"}
	if err := s.satellite.port.module.Provides("evse_manager").Raise(t.Context(), failure); err != nil {
		t.Fatal(err)
	}
	receive(t, s.arrivals, "the satellite's error")
	s.satellite.process.stop()
	receive(t, s.satellite.process.ended, "the agent's end")
	if got := receive(t, s.arrivals, "the fault"); got.Variable != "generic/CommunicationFault/" || got.Value[:4] != "true" {
		t.Errorf("arrived: %v, want the communication fault", got)
	}
	samples := sampler{t, definitions(t)}
	for _, r := range route.Standard() {
		declared, _ := samples.definitions.Interface(r.Interface)
		for _, command := range r.Commands {
			if command.Until != "" {
				continue
			}
			var result json.RawMessage
			arguments := samples.arguments(declared.Commands[command.Name])
			if err := s.main.required(r.ID).Call(t.Context(), command.Name, arguments, &result); err != nil {
				t.Errorf("%s.%s: %v, want a negative answer", r.ID, command.Name, err)
			}
			if command.Result == route.Boolean && string(result) != "false" {
				t.Errorf("%s.%s answered %s, want false", r.ID, command.Name, result)
			}
		}
	}
	if status := s.main.controller.Status(); status.State != "OutOfService" || status.Connected || status.Isolations != 1 {
		t.Errorf("controller's status %+v", status)
	}

	agent := satellite.NewAgent(satellite.AgentConfig{Everest: s.satellite.manager.Options(agentID)})
	s.satellite.run(agent.Run)
	var got []string
	for len(got) < 2 {
		arrived := receive(t, s.arrivals, "a cleared error")
		if arrived.Interface == "evse_manager" || arrived.Variable == "evse_manager/Inoperative/" {
			continue // what the main board is told of its EVSE: occupancy_test.go
		}
		raised, _, _ := cutSpace(arrived.Value)
		got = append(got, arrived.Variable+" "+raised)
	}
	if diff := cmp.Diff([]string{"generic/CommunicationFault/ false", "evse_manager/Inoperative/old connector/evse_manager false"}, got); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E9"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, s.arrivals, "evse_id"); got.Value != `"DE*TST*E9"` {
		t.Errorf("arrived: %v", got)
	}
	if status := s.main.controller.Status(); !status.Connected || status.State != "Working" {
		t.Errorf("controller's status %+v", status)
	}
}

// A legacy peer can only be restarted with.
func TestIsolationNeedsV2(t *testing.T) {
	t.Parallel()
	keys := map[string]any{"on_loss": "isolate", "dialect": "legacy"}
	main := startMainWith(t, everesttest.NewBroker(t), everesttest.FreePort(t), satellite.ControllerConfig{}, keys, nil)
	if err := receive(t, main.process.ended, "the controller's end"); err == nil || !strings.Contains(err.Error(), "set dialect to auto or v2") {
		t.Errorf("Run returned %v, want what to do", err)
	}
}

// greet makes a v2 controller of a connection.
func greet(t *testing.T, client *rpc.Client, identity uint64) (known bool) {
	t.Helper()
	var answer []any
	if err := client.Call(t.Context(), link.FunctionHello, &answer, []int{2}, identity, 1, 1500, 30_000); err != nil {
		t.Fatal(err)
	}
	if len(answer) < 3 {
		t.Fatalf("link_hello answered %v", answer)
	}
	return answer[2].(bool)
}

// A command that comes again gets the first one's result, on whatever connection.
func TestAnAgentExecutesANumberOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{answer: func(ctx context.Context, call invocation) (any, error) {
		if call.Command == "pause_charging" {
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return json.RawMessage("true"), nil
	}})
	first := legacyController(t, s)
	if greet(t, first, 7) {
		t.Error("the agent knows a controller that never came")
	}
	announce(t, first)
	if err := first.Call(t.Context(), link.FunctionIAmReady, nil); err != nil {
		t.Fatal(err)
	}
	s.waitReady()
	const pause = "link_command:evse_manager.pause_charging"
	waiting := first.Go(t.Context(), pause, nil, 1, 1, 60_000, "{}")
	receive(t, s.port.calls, "the command")

	second := legacyController(t, s)
	if err := second.Call(t.Context(), pause, nil, 1, 1, 60_000, "{}"); err == nil {
		t.Error("a connection that is not the link was served")
	}
	if !greet(t, second, 7) {
		t.Error("the agent does not know its controller again")
	}
	expectClosed(t, first)
	receive(t, waiting.Done, "the end of the first call")
	again := second.Go(t.Context(), pause, new(string), 1, 1, 60_000, "{}")
	close(release)
	receive(t, again.Done, "the result")
	for range 3 {
		var result string
		if err := second.Call(t.Context(), pause, &result, 1, 1, 60_000, "{}"); err != nil || result != "true" {
			t.Errorf("repeated: %s, %v", result, err)
		}
	}
	if err := second.Call(t.Context(), pause, nil, 1, 2, 60_000, "{}"); err == nil {
		t.Error("an acknowledged command was answered")
	}
	if err := second.Notify(t.Context(), link.FunctionCancel, 9); err != nil {
		t.Fatal(err)
	}
	if calls := drain(s.port.calls); len(calls) != 0 {
		t.Errorf("executed again: %v", calls)
	}
}

// What nobody waits for any more is cancelled on the satellite.
func TestACancelledCommandEnds(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{answer: func(ctx context.Context, _ invocation) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	client := legacyController(t, s)
	greet(t, client, 7)
	announce(t, client)
	if err := client.Call(t.Context(), link.FunctionIAmReady, nil); err != nil {
		t.Fatal(err)
	}
	s.waitReady()
	go func() {
		// The link must be held open, or it counts as lost.
		for client.Call(t.Context(), link.FunctionEvents, nil, 0, 0, 1, 0, 300) == nil {
		}
	}()
	call := client.Go(t.Context(), "link_command:evse_manager.pause_charging", nil, 1, 1, 60_000, "{}")
	receive(t, s.port.calls, "the command")
	if err := client.Notify(t.Context(), link.FunctionCancel, 1); err != nil {
		t.Fatal(err)
	}
	receive(t, call.Done, "the end of the command")
	if call.Error == nil {
		t.Error("a cancelled command was answered")
	}
	late := client.Go(t.Context(), "link_command:evse_manager.pause_charging", nil, 2, 1, 50, "{}")
	receive(t, late.Done, "the end of a command whose time is over")
	if late.Error == nil {
		t.Error("a command whose time is over was answered")
	}
}

func TestAnAgentMayRefuseLegacy(t *testing.T) {
	t.Parallel()
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{dialect: "v2"})
	client := legacyController(t, s)
	if err := client.Call(t.Context(), link.FunctionIAmHere, nil); err == nil {
		t.Error("a legacy controller was served")
	}
	greet(t, client, 7)
	if announce(t, client) {
		t.Error("the agent knows a controller already")
	}
}

// A journal that is full keeps what cannot be replaced.
func TestAFullJournalMergesTelemetry(t *testing.T) {
	t.Parallel()
	s, cable := startCabled(t, satelliteOptions{agent: satellite.AgentConfig{Limits: satellite.Limits{V2Events: 64}}})
	cable.takeOut()
	waitUntil(t, "the agent is alone", func() bool { return s.satellite.agent.Status().State == "Resuming" })
	provided := s.satellite.port.module.Provides("evse_manager")
	samples := sampler{t, definitions(t)}
	declared, _ := samples.definitions.Interface("evse_manager")
	value := json.RawMessage(samples.value(declared.Variables["telemetry"].Schema))
	var want []string
	for i := range 300 {
		if err := provided.Publish(t.Context(), "telemetry", value); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			id := fmt.Sprintf("DE*TST*E%d", i)
			want = append(want, `"`+id+`"`)
			if err := provided.Publish(t.Context(), "evse_id", id); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitUntil(t, "telemetry is given up", func() bool {
		status := s.satellite.agent.Status()
		return status.GivenUp > 200 && int(status.Collected) >= 330
	})
	cable.heal()
	var got []string
	for len(got) < len(want) {
		if arrived := receive(t, s.arrivals, "an event"); arrived.Variable == "evse_id" {
			got = append(got, arrived.Value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
	waitUntil(t, "the loss is known", func() bool { return s.main.controller.Status().GivenUp > 200 })
}
