package satellite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// unplugs is what EvseManager publishes when the car of a transaction is unplugged.
func (o *occupied) unplugs(session string) {
	o.t.Helper()
	meter := `{"reason":"EVDisconnected","meter_value":` + fmt.Sprintf(meterAt, 54) + `}`
	o.says("ChargingFinished", session, "")
	o.says("TransactionFinished", session, `,"transaction_finished":`+meter)
	o.says("SessionFinished", session, "")
}

// endsUnheard begins a session, and ends it in an outage. The agent has the end.
func (o *occupied) endsUnheard(session string) {
	o.t.Helper()
	o.charges(session)
	o.cable.takeOut()
	o.expect("evse_manager/Inoperative true")
	collected := o.satellite.agent.Status().Collected
	o.unplugs(session)
	waitUntil(o.t, "the agent has the end", func() bool { return o.satellite.agent.Status().Collected >= collected+3 })
}

func endsFile(directory string) string { return filepath.Join(directory, agentID+".ends.json") }

// exists reports whether the file of ends is there.
func exists(directory string) bool {
	_, err := os.Stat(endsFile(directory))
	return err == nil
}

func readEnds(t *testing.T, directory string) []byte {
	t.Helper()
	content, err := os.ReadFile(endsFile(directory))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A car is unplugged in an outage, and the agent's process ends before the link is back. The next process has the true
// end, and hands it over before anything new, once.
func TestTheTrueEndOutlivesTheAgent(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %v", killed), func(t *testing.T) {
			directory := t.TempDir()
			t.Setenv("STATE_DIRECTORY", directory)
			o := startOccupied(t, nil)
			o.boots("")
			o.expect("waiting_for_external_ready false", "ready true")
			o.endsUnheard("A")
			var onDisk []byte
			if killed {
				waitUntil(t, "the end is on disk", func() bool { return exists(directory) })
				onDisk = readEnds(t, directory)
			}
			start := o.stopSatellite()
			if killed { // the process left what was there before it ended
				if got := readEnds(t, directory); string(got) != string(onDisk) {
					t.Errorf("the file has become %s, and was %s", got, onDisk)
				}
			}
			o.cable.heal()
			start()
			o.expect("SessionResumed A", "TransactionFinished A 54 Wh EVDisconnected", "SessionFinished A")
			o.boots("")
			o.expect("waiting_for_external_ready false", "ready true", "evse_manager/Inoperative false")
			waitUntil(t, "the file is removed", func() bool { return !exists(directory) })
			// A further process has nothing to hand over.
			start = o.stopSatellite()
			o.expect("evse_manager/Inoperative true", "Disabled")
			start()
			o.boots("")
			o.expect("waiting_for_external_ready false", "ready true", "Enabled", "evse_manager/Inoperative false")
			o.charges("B")
			if status := o.main.controller.Status(); status.EstimatedEnds != 0 || status.LateEnds != 0 || status.Dropped != 0 {
				t.Errorf("status %+v", status)
			}
		})
	}
}

// The end that was kept and the one that EvseManager tells of its own store do not make two.
func TestAKeptEndAndAStoredOneAreOne(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	o := startOccupied(t, nil)
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.endsUnheard("A")
	start := o.stopSatellite()
	o.cable.heal()
	start()
	o.boots("A")
	o.expect("SessionResumed A", "TransactionFinished A 54 Wh EVDisconnected", "SessionFinished A",
		"waiting_for_external_ready false", "ready true", "evse_manager/Inoperative false")
	o.charges("B")
}

// The end that was kept reaches no other session: not the one that the main board holds when it comes.
func TestAKeptEndThatIsStaleIsDropped(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	o := startOccupied(t, map[string]any{"session_deadline_s": 1})
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.endsUnheard("A")
	o.expect("ChargingFinished A", "TransactionFinished A 42 Wh PowerLoss CARD", "SessionFinished A", "Disabled")
	start := o.stopSatellite()
	o.cable.heal()
	start()
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true", "Enabled", "evse_manager/Inoperative false")
	o.charges("B")
	if status := o.main.controller.Status(); status.EstimatedEnds != 1 || status.LateEnds != 1 {
		t.Errorf("status %+v", status)
	}
}

// Where the main board restarts as well, the end comes before its modules are ready: OCPP resumes the transaction that
// SessionResumed names, and ends it with the true values.
func TestAKeptEndReachesAMainBoardThatRestarted(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	o := startOccupied(t, nil)
	o.boots("")
	o.expect("waiting_for_external_ready false", "ready true")
	o.endsUnheard("A")
	start := o.stopSatellite()
	o.main.process.stop()
	receive(t, o.main.process.ended, "the controller's end")
	o.cable.heal()
	for len(o.seen) > 0 {
		<-o.seen
	}
	o.startMain(o.cable.port(), handshake.ControllerConfig{}, nil)
	start()
	o.boots("")
	o.main.waitReady()
	o.expect("SessionResumed A", "TransactionFinished A 54 Wh EVDisconnected", "SessionFinished A", "waiting_for_external_ready false", "ready true")
}

// A controller that speaks legacy gets what was kept with its first poll. Handed over is all that is known then: the file
// is removed.
func TestAKeptEndGoesToALegacyController(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	event := fmt.Sprintf(sessionFor, "TransactionFinished", "", "")
	if err := os.WriteFile(endsFile(directory), []byte(`{"version":1,"ends":[{"session":"A","event":`+event+`}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
	client := meet(t, s)
	var events string
	if err := client.Call(t.Context(), link.FunctionRetrieve, &events); err != nil {
		t.Fatal(err)
	}
	var retrieved struct {
		Vars []struct{ Value json.RawMessage }
	}
	if err := json.Unmarshal([]byte(events), &retrieved); err != nil || len(retrieved.Vars) != 2 {
		t.Fatalf("retrieved %s, %v, want two variables", events, err)
	}
	for i, want := range []string{fmt.Sprintf(sessionFor, "SessionResumed", "A", ""), event} {
		if !strings.Contains(string(retrieved.Vars[i].Value), want) {
			t.Errorf("retrieved %s, want %s", retrieved.Vars[i].Value, want)
		}
	}
	waitUntil(t, "the file is removed", func() bool { return !exists(directory) })
}

// A file that the agent has not written, or not whole, is set aside. The agent starts without it.
func TestABrokenFileOfEndsIsSetAside(t *testing.T) {
	event := fmt.Sprintf(sessionFor, "TransactionFinished", "A", "")
	for name, content := range map[string]string{
		"empty":           "",
		"cut":             `{"version":1,"ends":[{"session":"A","event":{"event":"Tran`,
		"foreign":         `{"version":2,"ends":[]}`,
		"no end":          `{"version":1,"ends":[{"session":"A","event":` + fmt.Sprintf(sessionFor, "SessionStarted", "A", "") + `}]}`,
		"another session": `{"version":1,"ends":[{"session":"B","event":` + event + `}]}`,
		"no session":      `{"version":1,"ends":[{"session":"","event":` + fmt.Sprintf(sessionFor, "TransactionFinished", "", "") + `}]}`,
		"null":            "null",
		"no number":       `{"version":1,"ends":[{"session":"A","event":` + fmt.Sprintf(sessionFor, "TransactionFinished", "A", `,"n":1e400`) + `}]}`,
		"more behind":     `{"version":1,"ends":[{"session":"A","event":` + event + `}]} {}`,
		"too many":        `{"version":1,"ends":[` + strings.Repeat(`{"session":"A","event":`+event+`},`, 8) + `{"session":"A","event":` + event + `}]}`,
		"too long":        `{"version":1,"ends":[]}` + strings.Repeat(" ", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			t.Setenv("STATE_DIRECTORY", directory)
			if err := os.WriteFile(endsFile(directory), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			left := filepath.Join(directory, "."+filepath.Base(endsFile(directory))+"4711")
			if err := os.WriteFile(left, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s := startSatellite(t, everesttest.NewBroker(t), satelliteOptions{})
			waitUntil(t, "the agent listens", func() bool { return s.agent.Status().ListenAddress != "" })
			if aside, err := os.ReadFile(endsFile(directory) + ".unreadable"); err != nil || string(aside) != content {
				t.Errorf("set aside: %.80q, %v", aside, err)
			}
			if _, err := os.Stat(left); !os.IsNotExist(err) {
				t.Errorf("what a loss of power left is still there: %v", err)
			}
			if exists(directory) || s.agent.Status().Collected != 0 {
				t.Errorf("the file is there: %v, events: %d", exists(directory), s.agent.Status().Collected)
			}
		})
	}
}
