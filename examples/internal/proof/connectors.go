package proof

import (
	"context"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
)

// connectorIDs: a satellite whose EvseManager has connector_id 1, as a board of its own has it. The main board must
// know the EVSE by the number that the main board's configuration has for it.
func connectorIDs(r *Run) {
	r.ownNumber()
	mark := r.journal.mark()
	r.authorize(local, "of the local EVSE", r.mainCard("CARD1"))
	r.absent("the local card authorises nothing at the satellite", mark, session(remote, "Authorized"))
	mark = r.journal.mark()
	r.authorize(remote, "by a token for the satellite's EVSE 1", func(ctx context.Context) error {
		return r.satellite.card(ctx, "CARD2", 1)
	})
	r.absent("that token authorises nothing at the local EVSE", mark, session(local, "Authorized"))
}

// connectorIDsAtOCPP: with ids that do not count up from 1, OCPP ends and its board with it.
func connectorIDsAtOCPP(r *Run) {
	r.ownNumber()
	if !r.expect("OCPP connects to the backend", 0, connectedToBackend) {
		return
	}
	mark := r.journal.mark()
	if r.authorize(remote, "of the satellite", r.mainCard("CARD1")) {
		r.expect("the backend gets StartTransaction of EVSE 2", mark, started(remote, "CARD1"))
	}
}

func connectedToBackend(o Observation) bool { return o.Kind == message && o.Name == "BootNotification" }

func (r *Run) ownNumber() {
	r.eventually("get_evse of the controller has the main board's number", func(ctx context.Context) (string, bool) {
		found, err := everest.Call[struct{ ID int }](ctx, r.main.connected().Requires("evse_manager")[1], "get_evse", nil)
		if err != nil {
			return err.Error(), false
		}
		return fmt.Sprintf("id %d", found.ID), found.ID == remote
	})
	r.figure("get_evse: %s")
}
