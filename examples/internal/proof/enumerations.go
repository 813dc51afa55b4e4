package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
)

// acThreePhase is the index and the text of an energy transfer mode.
const (
	acThreePhase     = "AC_three_phase_core"
	acThreePhaseMode = 2
)

// enumerations: lists of enumerations that have values mean the same on both boards.
func enumerations(r *Run) {
	r.sameModes()
	r.main.allow(acThreePhaseMode)
	if !r.start(remote, "with allowed energy transfer modes", r.mainCard("CARD1")) {
		return
	}
	port := r.main.connected().Requires("evse_manager")[1]
	mark := r.journal.mark()
	if r.do("pause", func(ctx context.Context) error { return port.Call(ctx, "pause_charging", nil, nil) }) {
		r.expect("ChargingPausedEVSE has its reasons as integers", mark, func(o Observation) bool {
			var event struct {
				Paused struct{ Reasons []int } `json:"charging_paused_evse"`
			}
			return session(remote, "ChargingPausedEVSE")(o) && json.Unmarshal(o.Value, &event) == nil && len(event.Paused.Reasons) > 0
		})
		r.expect("the backend gets SuspendedEVSE", mark, notified(remote, func(s statusNotification) bool { return s.Status == "SuspendedEVSE" }))
	}
	r.eventually("update_allowed_energy_transfer_modes is answered by a text", func(ctx context.Context) (string, bool) {
		answer, err := everest.Call[json.RawMessage](ctx, port, "update_allowed_energy_transfer_modes",
			map[string]any{"allowed_energy_transfer_modes": []string{acThreePhase}})
		if err != nil {
			return err.Error(), false
		}
		var text string
		return string(answer), json.Unmarshal(answer, &text) == nil && text != ""
	})
	r.figure("update: %s")
}

// countModes returns how many of the satellite's modes the main board has, and which.
func countModes(here, there json.RawMessage) string {
	count := func(list json.RawMessage) int {
		var all []json.RawMessage
		_ = json.Unmarshal(list, &all) // no list has no modes
		return len(all)
	}
	return fmt.Sprintf("%d of %d modes: %s", count(here), count(there), here)
}

// sameModes records whether the main board gets the modes that the satellite's EVSE publishes: texts.
func (r *Run) sameModes() {
	last := func(place string) json.RawMessage {
		all := r.journal.since(0, func(o Observation) bool { return o.Place == place && o.Kind == modes && o.EVSE == remote })
		if len(all) == 0 {
			return nil
		}
		return all[len(all)-1].Value
	}
	err := r.await(r.patience.Checks, func() bool { return last(onSatellite) != nil && bytes.Equal(last(onMain), last(onSatellite)) })
	r.record("supported_energy_transfer_modes are the satellite's", countModes(last(onMain), last(onSatellite)), err == nil)
	r.figure("%s")
}
