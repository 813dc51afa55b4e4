package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// sessions: the main board's card and the satellite's reader start the satellite, and a local session beside it stays
// one of its own.
func sessions(r *Run) {
	mark := r.journal.mark()
	if !r.start(remote, "by the main board's card", r.mainCard("CARD1")) {
		return
	}
	r.absent("that card starts no other EVSE", mark, session(local, "Authorized"))
	r.expect("the backend gets StartTransaction of EVSE 2", mark, started(remote, "CARD1"))

	beside := r.journal.mark()
	if !r.start(local, "of the local EVSE beside it", r.mainCard("CARD2")) {
		return
	}
	r.absent("that card authorises nothing at the satellite", beside, session(remote, "Authorized"))

	mark = r.journal.mark()
	if r.do("present the card again", r.mainCard("CARD1")) {
		r.expect("the card ends its session", mark, session(remote, "TransactionFinished"))
	}
	r.unplug(remote, "the satellite's car is unplugged")

	mark = r.journal.mark()
	r.start(remote, "by the satellite's reader", func(ctx context.Context) error {
		return r.satellite.card(ctx, "CARD3", r.setup.ConnectorID)
	})
	r.absent("that card authorises nothing at the local EVSE", mark, session(local, "Authorized"))
	r.expect("the backend gets StartTransaction of EVSE 2 again", mark, started(remote, "CARD3"))
	r.unplug(remote, "the satellite's car is unplugged again")
	r.unplug(local, "the local car is unplugged")
	r.sameEvents()
}

func (r *Run) mainCard(number string) func(context.Context) error {
	return func(ctx context.Context) error { return r.main.card(ctx, number) }
}

// probeOf returns the probe of the board that has the EVSE.
func (r *Run) probeOf(evse int) *probe {
	if evse == local {
		return r.main
	}
	return r.satellite
}

// start plugs in a car, has a card presented, and expects that the car charges.
func (r *Run) start(evse int, how string, present func(context.Context) error) bool {
	mark := r.journal.mark()
	return r.authorize(evse, how, present) && r.expect("session "+how+": charges", mark, session(evse, "ChargingStarted"))
}

// authorize plugs in a car, has a card presented, and expects that a transaction starts.
func (r *Run) authorize(evse int, how string, present func(context.Context) error) bool {
	mark := r.journal.mark()
	return r.do("plug in", r.probeOf(evse).plugIn) &&
		r.need("session "+how+": plugged in", mark, session(evse, "SessionStarted")) &&
		r.do("present a card", present) &&
		r.need("session "+how+": transaction", mark, session(evse, "TransactionStarted"))
}

func (r *Run) unplug(evse int, check string) {
	mark := r.journal.mark()
	if r.do("unplug", r.probeOf(evse).unplug) {
		r.expect(check, mark, session(evse, "SessionFinished"))
	}
}

// absent records whether no observation that matches was made. The caller has waited for one that comes later.
func (r *Run) absent(check string, mark int, match func(Observation) bool) {
	if found := r.journal.since(mark, match); len(found) > 0 {
		r.record(check, found[0].String(), false)
		return
	}
	r.record(check, "none", true)
}

// sameEvents records whether the main board has seen the session events of the satellite.
func (r *Run) sameEvents() {
	seen := func(place string) []string {
		var events []string
		for _, o := range r.journal.since(0, func(o Observation) bool {
			return o.Place == place && o.Kind == sessionEvent && o.EVSE == remote && o.Name != "Enabled"
		}) {
			events = append(events, o.Name)
		}
		return events
	}
	err := r.await(r.patience.Checks, func() bool { return slices.Equal(seen(onMain), seen(onSatellite)) })
	r.record("the main board sees the satellite's session events", fmt.Sprintf("%d of %d", len(seen(onMain)), len(seen(onSatellite))), err == nil)
	r.figure("%s session events")
}

// started matches the StartTransaction of an EVSE with a card.
func started(evse int, card string) func(Observation) bool {
	return func(o Observation) bool {
		var request struct{ IDTag string }
		return o.Kind == message && o.Name == "StartTransaction" && o.EVSE == evse &&
			json.Unmarshal(o.Value, &request) == nil && strings.EqualFold(request.IDTag, card)
	}
}
