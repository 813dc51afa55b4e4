package satellite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// ends are the ends of session A as the main board's modules see them after the satellite's boot, with the transaction
// that EvseManager found in its store and without.
var ends = map[string][]string{
	"A": {"SessionResumed A", "TransactionFinished A 43 Wh PowerLoss", "SessionFinished A"},
	"":  {"ChargingFinished A", "TransactionFinished A 42 Wh PowerLoss CARD", "SessionFinished A"},
}

// A satellite that is reset alone is joined by a main board that would restart with a lost one. Its session ends there.
func TestTheSessionOfASatelliteThatIsResetAloneEnds(t *testing.T) {
	t.Parallel()
	for _, dialect := range []string{"v2", "legacy"} {
		for stored, ended := range ends {
			t.Run(fmt.Sprintf("%s, stored %q", dialect, stored), func(t *testing.T) {
				t.Parallel()
				o := startOccupied(t, map[string]any{"on_loss": "restart", "dialect": dialect, "resume_window_s": 30})
				o.boots("")
				o.expect("waiting_for_external_ready false", "ready true")
				o.charges("A")
				if err := o.main.required("system").Call(t.Context(), "reset", hardReset, nil); err != nil {
					t.Fatal(err)
				}
				receive(t, o.satellite.system.calls, "the reset")
				waitUntil(t, "the satellite has left", func() bool { return !o.main.controller.Status().Connected })
				o.stopSatellite()()
				o.boots(stored)
				o.expect(append(ended, "waiting_for_external_ready false", "ready true")...)
				o.charges("B")
			})
		}
	}
}

// A main board that restarts with a lost satellite sees the end that the satellite tells, once. Where the satellite has
// none to tell, OCPP ends the transaction at its own start.
func TestASessionEndsOnceWhereBothBoardsRestart(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("STATE_DIRECTORY", directory)
	for stored, ended := range ends {
		t.Run(fmt.Sprintf("stored %q", stored), func(t *testing.T) {
			keys := map[string]any{"on_loss": "restart"}
			o := startOccupied(t, keys)
			o.boots("")
			o.expect("waiting_for_external_ready false", "ready true")
			o.charges("A")
			file := filepath.Join(directory, controllerID+".session.json")
			waitUntil(t, "the transaction is kept", func() bool {
				content, err := os.ReadFile(file)
				return err == nil && strings.Contains(string(content), `"session":"A"`)
			})
			o.satellite.process.stop()
			receive(t, o.satellite.process.ended, "the agent's end")
			receive(t, o.main.process.ended, "the main board's end")

			port := everesttest.FreePort(t)
			o.satellite = startSatellite(t, everesttest.NewBroker(t), satelliteOptions{port: port})
			o.startMain(port, handshake.ControllerConfig{}, keys)
			o.satellite.waitReady()
			o.boots(stored)
			if stored == "" {
				ended = nil
			}
			o.expect(append(ended, "waiting_for_external_ready false", "ready true")...)
			o.charges("B")
			if status := o.main.controller.Status(); status.EstimatedEnds != 0 || status.Dropped != 0 {
				t.Errorf("status %+v", status)
			}
		})
	}
}
