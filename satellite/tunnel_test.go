package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// arrival is something that the main board's modules saw of the satellite.
type arrival struct {
	Interface, Variable, Value string
}

// station is a main board and a satellite board, ready.
type station struct {
	satellite *satelliteBoard
	main      *mainBoard
	arrivals  chan arrival
}

func startStation(t testing.TB, broker everest.Broker, options satelliteOptions) *station {
	t.Helper()
	s := &station{arrivals: make(chan arrival, 10_000)}
	if options.port == 0 {
		options.port = everesttest.FreePort(t)
	}
	s.satellite = startSatellite(t, broker, options)
	if options.controllerPort == 0 {
		options.controllerPort = options.port
	}
	mainBroker := func() everest.Broker { return everesttest.NewBroker(t) }
	if options.mainBroker != nil {
		mainBroker = options.mainBroker
	}
	s.main = startMainWith(t, mainBroker(), options.controllerPort, options.controller, options.main, s.listen)
	s.satellite.waitReady()
	s.main.waitReady()
	return s
}

// listen puts all variables and errors of the controller on one queue.
func (s *station) listen(main *standIn) {
	order := everest.OnQueue(main.module.NewQueue("arrivals"))
	for _, r := range route.Standard() {
		for _, variable := range r.Variables {
			main.module.Requires(r.ID)[0].Subscribe(variable.Name, func(_ context.Context, value json.RawMessage) {
				s.arrivals <- arrival{r.ID, variable.Name, string(value)}
			}, order)
		}
	}
	for _, id := range []string{"satellite", "evse_manager"} {
		main.module.Requires(id)[0].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
			s.arrivals <- arrivalOf(event)
		}, order)
	}
}

func arrivalOf(event everest.ErrorEvent) arrival {
	raised := event.Error
	return arrival{
		Interface: raised.Origin.ModuleID + "/" + raised.Origin.ImplementationID,
		Variable:  raised.Type + "/" + raised.SubType,
		Value:     fmt.Sprintf("%v %s %s", event.Raised, raised.UUID, raised.Timestamp.UTC().Format("15:04:05.000")),
	}
}

// verbatim are the controller's keys of a test whose values must arrive as they were sent.
func verbatim() map[string]any {
	return map[string]any{"identities": "verbatim", "on_loss": "restart"}
}

// begun is the begin of a session. The main board withholds what belongs to a session that it has not seen begin.
func begun(session string) arrival {
	return arrival{"evse_manager", "session_event", fmt.Sprintf(sessionFor, "SessionStarted", session, "")}
}

// begin begins a session on the satellite.
func (b *satelliteBoard) begin(session string) {
	b.t.Helper()
	event := begun(session)
	if err := b.port.module.Provides(event.Interface).Publish(b.t.Context(), event.Variable, json.RawMessage(event.Value)); err != nil {
		b.t.Fatal(err)
	}
}

// Every command of the route table reaches the satellite with its arguments, and
// its result comes back.
func TestEveryCommandCrossesTheTunnel(t *testing.T) {
	t.Parallel()
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		s := startStation(t, broker, satelliteOptions{main: verbatim()})
		samples := sampler{t, definitions(t)}
		for _, r := range route.Standard() {
			declared, _ := samples.definitions.Interface(r.Interface)
			for _, command := range r.Commands {
				if r.ID == "system" && command.Name == "reset" || command.Until != "" {
					continue // it ends the link: TestResetEndsTheSession, or this release does not have it
				}
				definition := declared.Commands[command.Name]
				arguments := samples.arguments(definition)
				var result json.RawMessage
				if err := s.main.required(r.ID).Call(t.Context(), command.Name, arguments, &result); err != nil {
					t.Errorf("%s.%s: %v", r.ID, command.Name, err)
					continue
				}
				if want := samples.value(definition.Result); string(result) != want {
					t.Errorf("%s.%s answered %s, want %s", r.ID, command.Name, result, want)
				}
				calls := s.satellite.port.calls
				if r.ID == "system" {
					calls = s.satellite.system.calls
				}
				got := receive(t, calls, r.ID+"."+command.Name)
				want := invocation{r.ID, command.Name, arguments}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s.%s (-want +got):\n%s", r.ID, command.Name, diff)
				}
			}
		}
	})
}

// Every variable of the route table arrives unchanged, and all of them in the
// order in which the satellite published them, errors among them.
func TestVariablesAndErrorsArriveInOrder(t *testing.T) {
	t.Parallel()
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		s := startStation(t, broker, satelliteOptions{main: verbatim()})
		samples := sampler{t, definitions(t)}
		var want []arrival
		for range 3 {
			for _, r := range route.Standard() {
				declared, _ := samples.definitions.Interface(r.Interface)
				for _, variable := range r.Variables {
					value := samples.value(declared.Variables[variable.Name].Schema)
					if variable.Name == "session_event" { // one of the EVSE, which belongs to no session
						value = strings.Replace(value, `"Authorized"`, `"Enabled"`, 1)
					}
					provider := s.satellite.port
					if r.ID == "system" {
						provider = s.satellite.system
					}
					if err := provider.module.Provides(r.ID).Publish(t.Context(), variable.Name, json.RawMessage(value)); err != nil {
						t.Fatal(err)
					}
					if r.ID == "rfid_token_provider" {
						value = `{"connectors":[2],` + value[1:]
					}
					want = append(want, arrival{r.ID, variable.Name, value})
				}
			}
			provided := s.satellite.port.module.Provides("evse_manager")
			failure := everest.Error{Type: "evse_manager/Inoperative", SubType: "sub", Message: "test", Severity: everest.SeverityHigh}
			if err := provided.Raise(t.Context(), failure); err != nil {
				t.Fatal(err)
			}
			raised := provided.ActiveErrors()[0]
			if err := provided.Clear(t.Context(), failure.Type, failure.SubType); err != nil {
				t.Fatal(err)
			}
			want = append(want,
				arrivalOf(everest.ErrorEvent{Error: raised, Raised: true}),
				arrivalOf(everest.ErrorEvent{Error: raised, Raised: false}))
		}
		var got []arrival
		for range want {
			got = append(got, receive(t, s.arrivals, "an event"))
		}
		// MQTT orders what one module publishes; the system is another module.
		for _, ofSystem := range []bool{false, true} {
			if diff := cmp.Diff(only(want, ofSystem), only(got, ofSystem)); diff != "" {
				t.Errorf("arrivals (-want +got):\n%s", diff)
			}
		}
	})
}

func only(all []arrival, ofSystem bool) []arrival {
	var some []arrival
	for _, one := range all {
		if (one.Interface == "system") == ofSystem {
			some = append(some, one)
		}
	}
	return some
}

func TestPushedVariablesReachTheSatellite(t *testing.T) {
	t.Parallel()
	samples := sampler{t, definitions(t)}
	s := &station{arrivals: make(chan arrival, 100)}
	port := everesttest.FreePort(t)
	s.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
	recorder, err := everesttest.StartRecorder(t.Context(), s.satellite.manager.Options(agentID).Broker, "everest/modules/"+agentID+"/impl/+/var/+")
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	s.main = startMain(t, everesttest.NewBroker(t), port, satellite.ControllerConfig{}, s.listen)
	s.satellite.waitReady()
	s.main.waitReady()
	var want, got []string
	for _, push := range route.Pushes() {
		declared, _ := samples.definitions.Interface(push.Interface)
		value := samples.value(declared.Variables[push.Variable].Schema)
		implementation := map[string]string{"auth": "auth", "system": "aggregated"}[push.ID]
		if err := s.main.main.module.Provides(implementation).Publish(t.Context(), push.Variable, json.RawMessage(value)); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf(`everest/modules/%s/impl/%s/var/%s {"data":%s}`, agentID, push.ID, push.Variable, value))
	}
	messages, err := recorder.Wait(t.Context(), func(messages []everesttest.Message) bool { return len(messages) >= len(want) })
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		envelope, _ := message.Envelope()
		got = append(got, message.Topic+" "+string(envelope.Data))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published on the satellite (-want +got):\n%s", diff)
	}
}

// What the satellite does not have is answered for it.
func TestAbsentInterfacesAreAnswered(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{onlyMandatory: true})
	samples := sampler{t, definitions(t)}
	for _, r := range route.Standard() {
		if r.ID == "energy" || r.ID == "evse_manager" {
			continue
		}
		declared, _ := samples.definitions.Interface(r.Interface)
		for _, command := range r.Commands {
			var result json.RawMessage
			err := s.main.required(r.ID).Call(t.Context(), command.Name, samples.arguments(declared.Commands[command.Name]), &result)
			want := string(command.Absent)
			switch {
			case want == "":
				want = "null"
			case want == "null":
				want = string(command.Unavailable) // the caller could not read what the agent answers
			}
			if err != nil || string(result) != want {
				t.Errorf("%s.%s answered %s, %v, want %s", r.ID, command.Name, result, err, want)
			}
		}
	}
}

// A failure on the satellite is the caller's failure, with its type.
func TestCommandErrorsKeepTheirType(t *testing.T) {
	t.Parallel()
	failures := map[string]error{
		"get_evse": &everest.CommandError{Type: everest.NotReady, Message: "not yet"},
		"reserve":  fmt.Errorf("no such thing"),
	}
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{answer: func(_ context.Context, call invocation) (any, error) {
		return json.RawMessage("null"), failures[call.Command]
	}})
	for command, want := range map[string]everest.CommandError{
		"get_evse":        {Type: everest.NotReady, Message: "not yet"},
		"reserve":         {Type: everest.HandlerException, Message: "no such thing"},
		"resume_charging": {Type: everest.HandlerException, Message: "result of evse_manager.resume_charging: null is not a boolean"},
	} {
		arguments := map[string]any{}
		if command == "reserve" {
			arguments["reservation_id"] = 1
		}
		err := s.main.required("evse_manager").Call(t.Context(), command, arguments, nil)
		got, ok := errors.AsType[*everest.CommandError](err)
		if !ok || *got != want {
			t.Errorf("%s failed with %#v, want %#v", command, err, want)
		}
	}
}

// EVerest's Auth ends with its board on an error of authorize_response. A satellite that fails must not cause that.
func TestAFailureOfTheSatelliteEndsNoCaller(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, answer: func(context.Context, invocation) (any, error) {
				return nil, errors.New("no such thing")
			}})
			var result json.RawMessage
			err := s.main.required("evse_manager").Call(t.Context(), "withdraw_authorization", nil, &result)
			if err != nil || string(result) != "null" {
				t.Errorf("withdraw_authorization returned %s, %v", result, err)
			}
			receive(t, s.satellite.port.calls, "withdraw_authorization")
			waitUntil(t, "the failure is counted", func() bool { return s.main.controller.Status().CommandErrors == 1 })
		})
	}
}

// One slow command must not hold up another, nor the variables.
func TestASlowCommandHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{answer: func(ctx context.Context, call invocation) (any, error) {
		if call.Command == "get_evse" {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return json.RawMessage(`{"connectors":[{"id":1}],"id":1}`), nil
		}
		return true, nil
	}})
	slow := make(chan error, 1)
	go func() { slow <- s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil) }()
	receive(t, s.satellite.port.calls, "get_evse")

	if err := s.main.required("evse_manager").Call(t.Context(), "pause_charging", nil, nil); err != nil {
		t.Error(err)
	}
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
		t.Error(err)
	}
	if got := receive(t, s.arrivals, "evse_id"); got.Value != `"DE*TST*E1"` {
		t.Errorf("arrived: %v", got)
	}
	close(release)
	if err := receive(t, slow, "the slow answer"); err != nil {
		t.Error(err)
	}
}

func TestSatelliteInterfaceTellsOfTheLink(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{})
	for command, want := range map[string]string{
		"is_connected":                `true`,
		"get_local_endpoint_address":  `"127.0.0.1"`,
		"get_remote_endpoint_address": `"127.0.0.1"`,
	} {
		var result json.RawMessage
		if err := s.main.required("satellite").Call(t.Context(), command, nil, &result); err != nil || string(result) != want {
			t.Errorf("%s answered %s, %v, want %s", command, result, err, want)
		}
	}
	// That the managers have sent global ready does not mean that it has arrived.
	waitUntil(t, "both have heard that their boards are ready", func() bool {
		return s.main.controller.Status().State == "Working" && s.satellite.agent.Status().State == "Working"
	})
	if status := s.main.controller.Status(); !status.Connected {
		t.Errorf("controller's status %+v", status)
	}
	if status := s.satellite.agent.Status(); status.ListenAddress != s.satellite.address || status.Controller == "" {
		t.Errorf("agent's status %+v", status)
	}
}

// A wrong argument ends a C++ agent with its whole board, so it must not leave
// the controller.
func TestWrongArgumentsStayOnTheMainBoard(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{})
	for _, test := range []struct{ command, arguments string }{
		{"reserve", `{"reservation_id":"seven"}`},
		{"reserve", `{"reservation_id":[1]}`},
		{"reserve", `{}`},
		{"enable_disable", `{"connector_id":1,"cmd_source":{"enable_source":"Nobody","enable_state":"Enable","enable_priority":1}}`},
	} {
		err := callUnchecked(t, s.main, "evse_manager", test.command, test.arguments)
		failed, ok := errors.AsType[*everest.CommandError](err)
		if !ok || failed.Type != everest.SchemaValidationError {
			t.Errorf("%s %s: %v, want SchemaValidationError", test.command, test.arguments, err)
		}
	}
	if calls := drain(s.satellite.port.calls); len(calls) != 0 {
		t.Errorf("reached the satellite: %v", calls)
	}
}

// callUnchecked calls from a module that does not check what it sends, as C++
// modules do not.
func callUnchecked(t *testing.T, m *mainBoard, id, command, arguments string) error {
	t.Helper()
	options := m.manager.Options(mainID)
	options.UncheckedCalls = true
	module, err := everest.Connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	called := make(chan error, 1)
	module.OnInit(func(ctx context.Context) error {
		called <- module.Requires(id)[0].Call(ctx, command, json.RawMessage(arguments), nil)
		return nil
	})
	go func() { ended <- module.Run(ctx) }()
	result := receive(t, called, "the answer")
	cancel()
	receive(t, ended, "the module's end")
	return result
}

func drain[T any](from chan T) []T {
	var all []T
	for {
		select {
		case value := <-from:
			all = append(all, value)
		default:
			return slices.Clip(all)
		}
	}
}
