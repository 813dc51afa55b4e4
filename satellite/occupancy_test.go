package satellite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// occupied is a station that isolates, whose main board follows the sessions of its EVSE. Its link is lost by a connection that
// ends, never by silence: a busy machine is silent, too.
type occupied struct {
	*station
	t *testing.T
	// seen has the session events, ready variables and errors of evse_manager, as they arrive.
	seen  chan string
	cable *cable
}

func startOccupied(t *testing.T, keys map[string]any) *occupied {
	t.Helper()
	o := &occupied{station: &station{arrivals: make(chan arrival, 10_000)}, t: t, seen: make(chan string, 1000)}
	port := everesttest.FreePort(t)
	o.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
	o.cable = newCable(t, fmt.Sprintf("127.0.0.1:%d", port))
	o.startMain(o.cable.port(), handshake.ControllerConfig{}, keys)
	o.satellite.waitReady()
	o.main.waitReady()
	return o
}

func (o *occupied) startMain(port int, times handshake.ControllerConfig, keys map[string]any) {
	all := map[string]any{"on_loss": "isolate", "resume_window_s": 1, "link_timeout_ms": 20_000}
	for name, value := range keys {
		all[name] = value
	}
	times.Retry = 50 * time.Millisecond
	o.main = startMainWith(o.t, everesttest.NewBroker(o.t), port, satellite.ControllerConfig{Handshake: times}, all, o.follow)
}

func (o *occupied) follow(main *standIn) {
	order := everest.OnQueue(main.module.NewQueue("seen"))
	evse := main.module.Requires("evse_manager")[0]
	for _, variable := range []string{"session_event", "ready", "waiting_for_external_ready", "powermeter"} {
		evse.Subscribe(variable, func(_ context.Context, value json.RawMessage) { o.seen <- described(variable, value) }, order)
	}
	evse.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
		o.seen <- fmt.Sprintf("%s %v", event.Error.Type, event.Raised)
	}, order)
}

func described(variable string, value json.RawMessage) string {
	var event struct {
		Event, UUID string
		Finished    *struct {
			Reason string
			Meter  struct {
				Energy struct{ Total float64 } `json:"energy_Wh_import"`
			} `json:"meter_value"`
			Tag *struct {
				Token struct{ Value string } `json:"id_token"`
			} `json:"id_tag"`
		} `json:"transaction_finished"`
	}
	if variable != "session_event" || json.Unmarshal(value, &event) != nil {
		return variable + " " + string(value)
	}
	text := strings.TrimSpace(event.Event + " " + event.UUID)
	if finished := event.Finished; finished != nil {
		text += fmt.Sprintf(" %v Wh %s", finished.Meter.Energy.Total, finished.Reason)
		if finished.Tag != nil {
			text += " " + finished.Tag.Token.Value
		}
	}
	return text
}

const (
	meterAt    = `{"energy_Wh_import":{"total":%d},"timestamp":"2026-11-26T18:41:00.000Z"}`
	sessionFor = `{"event":"%s","timestamp":"2026-11-26T18:40:00.000Z","uuid":"%s"%s}`
)

// says publishes a session event of the satellite.
func (o *occupied) says(kind, session, member string) {
	o.t.Helper()
	o.publish("session_event", fmt.Sprintf(sessionFor, kind, session, member))
}

func (o *occupied) publish(variable, value string) {
	o.t.Helper()
	if err := o.satellite.port.module.Provides("evse_manager").Publish(o.t.Context(), variable, json.RawMessage(value)); err != nil {
		o.t.Fatal(err)
	}
}

// charges begins a session with a transaction, and expects it on the main board.
func (o *occupied) charges(session string) {
	o.t.Helper()
	meter := fmt.Sprintf(meterAt, 5)
	o.says("SessionStarted", session, `,"session_started":{"reason":"EVConnected","meter_value":`+meter+`}`)
	o.says("TransactionStarted", session, `,"transaction_started":{"meter_value":`+meter+
		`,"id_tag":{"authorization_type":"RFID","id_token":{"type":"ISO14443","value":"CARD"}}}`)
	meter = fmt.Sprintf(meterAt, 42)
	o.publish("powermeter", meter)
	o.expect("SessionStarted "+session, "TransactionStarted "+session, "powermeter "+meter)
}

// boots is what EvseManager publishes at its boot, with the transaction of its store if any.
func (o *occupied) boots(stored string) {
	o.t.Helper()
	if stored != "" {
		o.says("SessionResumed", stored, "")
		o.says("TransactionFinished", "", `,"transaction_finished":{"reason":"PowerLoss","meter_value":`+fmt.Sprintf(meterAt, 43)+`}`)
	}
	o.publish("waiting_for_external_ready", "false")
	o.publish("ready", "true")
}

func (o *occupied) expect(want ...string) {
	o.t.Helper()
	var got []string
	for range want {
		got = append(got, receive(o.t, o.seen, strings.Join(want, ", ")))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		o.t.Errorf("the main board's modules see (-want +got):\n%s", diff)
	}
}

// stopSatellite ends the agent's process, and returns what starts another.
func (o *occupied) stopSatellite() (start func()) {
	o.satellite.process.stop()
	receive(o.t, o.satellite.process.ended, "the agent's end")
	return func() {
		agent := satellite.NewAgent(satellite.AgentConfig{Everest: o.satellite.manager.Options(agentID)})
		o.satellite.process = o.satellite.run(agent.Run)
		waitUntil(o.t, "the agent is linked", func() bool { return o.main.controller.Status().Connected })
	}
}

// A satellite that does not come back leaves no session open.
func TestTheEndOfALostSessionIsEstimated(t *testing.T) {
	t.Parallel()
	o := startOccupied(t, map[string]any{"session_deadline_s": 1})
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	o.stopSatellite()
	o.expect("evse_manager/Inoperative true", "ChargingFinished A", "TransactionFinished A 42 Wh PowerLoss CARD", "SessionFinished A", "Disabled")
	if status := o.main.controller.Status(); status.EstimatedEnds != 1 {
		t.Errorf("status %+v", status)
	}
}

// ends ends a session with its transaction.
func (o *occupied) ends(session string) {
	o.t.Helper()
	o.says("TransactionFinished", session, `,"transaction_finished":{"reason":"EVDisconnected","meter_value":`+fmt.Sprintf(meterAt, 54)+`}`)
	o.says("SessionFinished", session, "")
}

// A session that ends in an outage ends on the main board with the true values.
func TestTheTrueEndOfAnOutageArrives(t *testing.T) {
	t.Parallel()
	o := startOccupied(t, map[string]any{"session_deadline_s": 3600})
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	o.cable.takeOut()
	o.expect("evse_manager/Inoperative true")
	o.ends("A")
	o.cable.heal()
	o.expect("evse_manager/Inoperative false", "TransactionFinished A 54 Wh EVDisconnected", "SessionFinished A")
	o.charges("B")
	if status := o.main.controller.Status(); status.EstimatedEnds != 0 || status.LateEnds != 0 || status.Isolations != 1 {
		t.Errorf("status %+v", status)
	}
}

// A session whose end was estimated in an outage does not end twice.
func TestAnEstimatedEndIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	o := startOccupied(t, map[string]any{"session_deadline_s": 1})
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	o.cable.takeOut()
	o.expect("evse_manager/Inoperative true", "ChargingFinished A", "TransactionFinished A 42 Wh PowerLoss CARD", "SessionFinished A", "Disabled")
	o.ends("A")
	o.cable.heal()
	o.expect("Enabled", "evse_manager/Inoperative false")
	o.charges("B")
	if status := o.main.controller.Status(); status.EstimatedEnds != 1 || status.LateEnds != 1 || status.Isolations != 1 {
		t.Errorf("status %+v", status)
	}
}

// A satellite that restarted tells the end itself, and what it lacks is added.
func TestASatellitesOwnEndIsCompleted(t *testing.T) {
	t.Parallel()
	o := startOccupied(t, nil)
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.charges("A")
	start := o.stopSatellite()
	o.expect("evse_manager/Inoperative true")
	start()
	o.boots("A")
	o.expect("SessionResumed A", "TransactionFinished A 43 Wh PowerLoss", "SessionFinished A", "waiting_for_external_ready false", "ready true",
		"evse_manager/Inoperative false")
	// The end comes again while the next customer charges.
	o.charges("B")
	o.says("TransactionFinished", "A", `,"transaction_finished":{"meter_value":`+fmt.Sprintf(meterAt, 44)+`}`)
	o.says("SessionFinished", "A", "")
	o.says("AuthRequired", "B", "")
	o.expect("AuthRequired B")
	if status := o.main.controller.Status(); status.EstimatedEnds != 0 || status.Dropped != 2 {
		t.Errorf("status %+v", status)
	}
}

// A satellite that restarted is told again what the main board says once.
func TestASatelliteThatRestartedIsToldAgain(t *testing.T) {
	t.Parallel()
	o := startOccupied(t, nil)
	evse := o.main.required("evse_manager")
	configuration := json.RawMessage(`{"pnc_enabled":true}`)
	for command, arguments := range map[string]any{
		"external_ready_to_start_charging":  nil,
		"set_plug_and_charge_configuration": map[string]any{"plug_and_charge_configuration": configuration},
	} {
		if err := evse.Call(t.Context(), command, arguments, nil); err != nil {
			t.Fatal(err)
		}
		receive(t, o.satellite.port.calls, command)
	}
	start := o.stopSatellite()
	o.expect("waiting_for_external_ready true", "ready true", "evse_manager/Inoperative true", "Disabled")
	start()
	o.publish("waiting_for_external_ready", "true")
	if call := receive(t, o.satellite.port.calls, "a command"); call.Command != "external_ready_to_start_charging" {
		t.Errorf("called: %+v", call)
	}
	o.publish("ready", "true")
	want := invocation{"evse_manager", "set_plug_and_charge_configuration", everest.Args{"plug_and_charge_configuration": configuration}}
	if diff := cmp.Diff(want, receive(t, o.satellite.port.calls, "a command")); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

// A main board that starts without its satellite keeps the transaction open that it has kept.
func TestAnAbsentSatelliteLeavesOCPPItsTransaction(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	port := everesttest.FreePort(t)
	o := &occupied{station: &station{}, t: t, seen: make(chan string, 1000)}
	kept := `{"session":"A","evse":2,"id_tag":{"id_token":{"value":"CARD","type":"ISO14443"},"authorization_type":"RFID"},` +
		`"meter_value":` + fmt.Sprintf(meterAt, 42) + `,"began":"2026-11-26T18:40:00Z","heard":"2026-11-26T18:41:00Z"}`
	file := filepath.Join(directory, controllerID+".session.json")
	if err := os.WriteFile(file, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	o.startMain(port, handshake.ControllerConfig{InitTimeout: 100 * time.Millisecond}, map[string]any{"session_deadline_s": 1})
	o.main.waitReady()
	o.expect("SessionResumed A", "waiting_for_external_ready true", "ready true", "evse_manager/Inoperative true")
	o.expect("ChargingFinished A", "TransactionFinished A 42 Wh PowerLoss CARD", "SessionFinished A", "Disabled")
	waitUntil(t, "the file is removed", func() bool {
		_, err := os.Stat(file)
		return os.IsNotExist(err)
	})
}

// A main board that restarts with its satellite, and does not wait for it for ever, starts without it as well.
func TestABoundedStartTellsThatTheSatelliteIsAbsent(t *testing.T) {
	t.Parallel()
	o := &occupied{station: &station{}, t: t, seen: make(chan string, 1000)}
	o.startMain(everesttest.FreePort(t), handshake.ControllerConfig{}, map[string]any{"on_loss": "restart", "start_timeout_s": 1})
	o.main.waitReady()
	o.expect("waiting_for_external_ready true", "ready true", "evse_manager/Inoperative true", "Disabled")
}

// An open transaction is kept on disk until it ends.
func TestAnOpenTransactionIsKept(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	o := startOccupied(t, nil)
	o.charges("A")
	file := filepath.Join(directory, controllerID+".session.json")
	waitUntil(t, "the transaction is kept", func() bool {
		content, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(content), `"session":"A"`) && strings.Contains(string(content), `"CARD"`)
	})
	o.says("TransactionFinished", "A", `,"transaction_finished":{"meter_value":`+fmt.Sprintf(meterAt, 44)+`}`)
	waitUntil(t, "the file is removed", func() bool {
		_, err := os.Stat(file)
		return os.IsNotExist(err)
	})
}
