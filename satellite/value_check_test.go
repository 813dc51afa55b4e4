package satellite_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const (
	valueDropped   = "a value of the satellite is dropped: C++ modules of this board cannot read it"
	resultRejected = "a result of the satellite is rejected: C++ callers cannot read it"
)

// unreadable are values that C++ cannot read, one of each kind.
var unreadable = []struct{ variable, value, place string }{
	{"powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1e400}}`, "/energy_Wh_import/total"},
	{"powermeter", `{"timestamp":"t","energy_Wh_import":{"total":1},"later":[1e400]}`, "/later/0"},
	{"powermeter", `{"timestamp":"t","energy_Wh_import":{"total":"1"}}`, "/energy_Wh_import/total"},
	{"powermeter", `{"timestamp":"t","energy_Wh_import":[]}`, "/energy_Wh_import"},
	{"powermeter", `{"timestamp":"t","energy_Wh_import":null}`, "/energy_Wh_import"},
	{"powermeter", `{"timestamp":"t"}`, ""},
	{"session_event", `{"event":"Levitating","timestamp":"t","uuid":"u"}`, "/event"},
	{"session_event", `{"event":"ChargingPausedEVSE","timestamp":"t","uuid":"u","charging_paused_evse":{"reasons":[2,3]}}`, "/charging_paused_evse/reasons/1"},
	{"supported_energy_transfer_modes", `["DC","Air"]`, "/1"},
}

// staysOnItsBoard reports whether the agent drops a value itself: a number is beyond double.
func staysOnItsBoard(value string) bool { return strings.Contains(value, "1e400") }

// observedController returns the configuration of a controller whose warnings are kept.
func observedController() (satellite.ControllerConfig, *observer.ObservedLogs) {
	core, logs := observer.New(zap.WarnLevel)
	return satellite.ControllerConfig{Logger: zap.New(core)}, logs
}

// linesOf returns the lines with a message as "interface.name place".
func linesOf(t *testing.T, logs *observer.ObservedLogs, message string) (lines []string) {
	t.Helper()
	for _, entry := range logs.FilterMessage(message).All() {
		fields := entry.ContextMap()
		name := fields["variable"]
		if name == nil {
			name = fields["command"]
		}
		lines = append(lines, fmt.Sprintf("%v.%v %v", fields["interface"], name, fields["place"]))
		if text, _ := fields["error"].(string); entry.Level != zapcore.WarnLevel || !strings.Contains(text, fmt.Sprint(name)) {
			t.Errorf("line %+v with %v", entry.Entry, fields)
		}
	}
	return lines
}

// A value that C++ cannot read does not reach the main board. Each is counted, and each place is logged once.
func TestUnreadableValuesStayOffTheMainBoard(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			config, logs := observedController()
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{dialect: dialect, controller: config})
			port := s.satellite.port.module.Provides("evse_manager")
			var want []string
			dropped, atOnce := 0, 0
			for _, bad := range unreadable {
				if dialect == "legacy" && bad.variable == "supported_energy_transfer_modes" {
					continue // the agent has no index for an unknown text
				}
				if staysOnItsBoard(bad.value) {
					atOnce += 3
				} else {
					dropped += 3
					want = append(want, "evse_manager."+bad.variable+" "+bad.place)
				}
				for range 3 {
					if err := port.Publish(t.Context(), bad.variable, json.RawMessage(bad.value)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := port.Publish(t.Context(), "evse_id", "the last one"); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, s.arrivals, "evse_id"); got.Value != `"the last one"` {
				t.Errorf("%v has reached the main board", got)
			}
			waitUntil(t, "all are counted", func() bool { return s.main.controller.Status().Dropped == uint64(dropped) })
			if got := s.satellite.agent.Status().Dropped; got != uint64(atOnce) {
				t.Errorf("the agent dropped %d, want %d", got, atOnce)
			}
			// Several mistakes are at one place.
			if diff := cmp.Diff(unique(want), linesOf(t, logs, valueDropped)); diff != "" {
				t.Errorf("log lines (-want +got):\n%s", diff)
			}
		})
	}
}

func unique(texts []string) (all []string) {
	seen := map[string]bool{}
	for _, text := range texts {
		if !seen[text] {
			all = append(all, text)
		}
		seen[text] = true
	}
	return all
}

// The elements of a list are one place.
func TestAListIsLoggedOnce(t *testing.T) {
	t.Parallel()
	config, logs := observedController()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{controller: config})
	port := s.satellite.port.module.Provides("evse_manager")
	for i := range 20 {
		value := `[` + strings.Repeat(`"DC",`, i) + `"Air"]`
		if err := port.Publish(t.Context(), "supported_energy_transfer_modes", json.RawMessage(value)); err != nil {
			t.Fatal(err)
		}
	}
	waitUntil(t, "all are counted", func() bool { return s.main.controller.Status().Dropped == 20 })
	if diff := cmp.Diff([]string{"evse_manager.supported_energy_transfer_modes /0"}, linesOf(t, logs, valueDropped)); diff != "" {
		t.Errorf("log lines (-want +got):\n%s", diff)
	}
}

// With check_values false the controller publishes what it gets, which is all that the agent takes in.
func TestUnreadableValuesPassWithoutTheCheck(t *testing.T) {
	t.Parallel()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
		main:   map[string]any{"check_values": false},
		answer: func(context.Context, invocation) (any, error) { return json.RawMessage(`{"id":2}`), nil },
	})
	s.satellite.begin("u")
	checkArrivals(t, []arrival{begun("u")}, s.arrivals)
	for _, bad := range unreadable {
		if staysOnItsBoard(bad.value) {
			continue
		}
		if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), bad.variable, json.RawMessage(bad.value)); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, s.arrivals, bad.variable); got.Value != bad.value {
			t.Errorf("%s arrived as %v", bad.value, got)
		}
	}
	var result json.RawMessage
	if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, &result); err != nil || string(result) != `{"id":2}` {
		t.Errorf("answered %s, %v", result, err)
	}
}

// A C++ caller reads a result as it reads a variable.
func TestUnreadableResultsAreErrors(t *testing.T) {
	t.Parallel()
	results := map[string]string{
		"get_evse":                             `{"id":1,"connectors":[{"id":"one"}]}`,
		"update_allowed_energy_transfer_modes": `"Levitating"`,
		"pause_charging":                       `true`,
	}
	config, logs := observedController()
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
		controller: config,
		answer: func(_ context.Context, call invocation) (any, error) {
			return json.RawMessage(results[call.Command]), nil
		},
	})
	samples := sampler{t, definitions(t)}
	declared, _ := samples.definitions.Interface("evse_manager")
	for range 3 {
		for command := range results {
			err := s.main.required("evse_manager").Call(t.Context(), command, samples.arguments(declared.Commands[command]), nil)
			failed, _ := errors.AsType[*everest.CommandError](err)
			switch {
			case command == "pause_charging":
				if err != nil {
					t.Error(err)
				}
			case failed == nil || failed.Type != everest.SchemaValidationError || !strings.Contains(failed.Message, "result of evse_manager."+command):
				t.Errorf("%s: %v, want SchemaValidationError", command, err)
			}
		}
	}
	if got := linesOf(t, logs, resultRejected); len(got) != 2 || !strings.Contains(strings.Join(got, ","), "evse_manager.get_evse /connectors/0/id") {
		t.Errorf("log lines: %q", got)
	}
	if status := s.main.controller.Status(); status.CommandErrors != 6 {
		t.Errorf("%d commands failed", status.CommandErrors)
	}
}

// An error object is read in C++ too.
func TestUnreadableErrorObjectsStayOffTheMainBoard(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{agent: satellite.AgentConfig{Logger: zap.New(core)}})
	wire, err := everesttest.StartRecorder(t.Context(), s.satellite.manager.Options(agentID).Broker, "unused")
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	const topic = "everest/modules/" + portID + "/impl/evse_manager/error/evse_manager/Inoperative"
	publish := func(subType, more string) {
		t.Helper()
		object := `{"description":"d","message":"m","origin":{"implementation_id":"evse_manager","module_id":"` + portID + `"},"severity":"High",` +
			`"state":"Active","timestamp":"2026-11-22T10:43:28.006Z","type":"evse_manager/Inoperative","uuid":"u","vendor_id":"v","sub_type":"` + subType + `"` + more + `}`
		message := everesttest.Message{Topic: topic, Payload: []byte(`{"data":` + object + `,"msg_type":"RaiseError"}`), QoS: 2}
		if err := wire.Publish(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	publish("bad", `,"later":1e400`)
	publish("good", `,"later":1e300`)
	if got := receive(t, s.arrivals, "the error"); !strings.HasPrefix(got.Variable, "evse_manager/Inoperative/good") {
		t.Errorf("%v has reached the main board", got)
	}
	if lines := logs.FilterMessage("an error is dropped: the main board could not take it").Len(); lines != 1 || s.satellite.agent.Status().Dropped != 1 {
		t.Errorf("%d log lines, %d dropped", lines, s.satellite.agent.Status().Dropped)
	}
}

// An event that a patched EVerest has beyond its release arrives where the main board's EVerest knows it too. Where it
// does not, one line says so.
func TestPatchedReleases(t *testing.T) {
	t.Parallel()
	event := `{"event":"Levitating","timestamp":"t","uuid":"u","height":3}`
	for name, test := range map[string]struct {
		agent, main *schema.Definitions
		arrives     bool
	}{
		"on both boards":    {patched(t), patched(t), true},
		"on the main board": {definitions(t), patched(t), true}, // the agent carries what its modules publish
		"on the satellite":  {patched(t), definitions(t), false},
		"on no board":       {definitions(t), definitions(t), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, logs := observedController()
			s := startExtraStation(t, extraOptions{
				agent: extraSide{definitions: test.agent}, main: extraSide{definitions: test.main, log: config.Logger},
			})
			port := s.port.module.Provides("evse_manager")
			if err := port.Publish(t.Context(), "session_event", json.RawMessage(begun("u").Value)); err != nil {
				t.Fatal(err)
			}
			checkArrivals(t, []arrival{begun("u")}, s.arrivals)
			for range 2 {
				if err := port.Publish(t.Context(), "session_event", json.RawMessage(event)); err != nil {
					t.Fatal(err)
				}
			}
			if err := port.Publish(t.Context(), "evse_id", "the last one"); err != nil {
				t.Fatal(err)
			}
			events := 0
			for {
				got := receive(t, s.arrivals, "evse_id")
				if got.Variable == "evse_id" {
					break
				}
				if got.Value != event {
					t.Errorf("arrived: %v", got)
				}
				events++
			}
			lines := linesOf(t, logs, valueDropped)
			if test.arrives && (events != 2 || len(lines) > 0) || !test.arrives && (events != 0 || len(lines) != 1) {
				t.Errorf("%d events arrived, log lines %q", events, lines)
			}
		})
	}
}

// patched are the definitions of an EVerest with one more event.
func patched(t *testing.T) *schema.Definitions {
	t.Helper()
	raw, _ := definitions(t).Type("/evse_manager#/SessionEventEnum")
	var events struct {
		Type string   `json:"type"`
		Enum []string `json:"enum"`
	}
	if err := json.Unmarshal(raw, &events); err != nil {
		t.Fatal(err)
	}
	events.Enum = append(events.Enum, "Levitating")
	types, err := json.Marshal(map[string]any{"types": map[string]any{"/evse_manager#/SessionEventEnum": events}})
	if err != nil {
		t.Fatal(err)
	}
	more, err := schema.LoadJSON([]byte(`{"interfaces":{}}`), types, nil)
	if err != nil {
		t.Fatal(err)
	}
	return more.Over(definitions(t))
}
