package proof

import (
	"context"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
)

// incident is what happens to a station in which both cars charge.
type incident struct {
	*Run
	begin time.Time
	mark  int
	// first is the transaction of the satellite's EVSE that is open at the begin.
	first transaction
}

// chargedFirst is what the satellite's car must have got before anything happens, in Wh.
const chargedFirst = 25

// chargedNext is what the car of the next customer must have got before it is unplugged, in Wh.
const chargedNext = 5

// begins lets both cars charge, and begins an incident.
func (r *Run) begins() (*incident, bool) {
	mark := r.journal.mark()
	if !r.authorize(remote, "of the satellite", r.mainCard("CARD1")) || !r.authorize(local, "of the local EVSE", r.mainCard("CARD2")) {
		return nil, false
	}
	if !r.need("the backend gets StartTransaction of EVSE 2", mark, started(remote, "CARD1")) {
		return nil, false
	}
	err := r.await(2*r.patience.Steps, func() bool { return r.register(time.Now()) >= chargedFirst })
	if err != nil {
		r.record("the satellite's car charges", fmt.Sprintf("%.1f Wh", r.register(time.Now())), false)
		return nil, false
	}
	return &incident{Run: r, begin: time.Now(), mark: r.journal.mark(), first: r.latest(remote)}, true
}

// until waits until a moment after the begin, on a real station.
func (i *incident) until(after time.Duration) {
	wait := time.NewTimer(time.Until(i.begin.Add(after / i.pace.quicker)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-i.ctx.Done():
	}
}

func (i *incident) cut()  { i.cable.Begin(forwarder.OutageSilent) }
func (i *incident) heal() { i.cable.Heal() }

// localCard ends and begins a session at the local EVSE.
func (i *incident) localCard() {
	i.timed("a local card ends its session", session(local, "TransactionFinished"), i.mainCard("CARD2"))
	i.unplug(local, "the local car is unplugged")
	mark := i.journal.mark()
	if i.do("plug in", i.main.plugIn) && i.need("the next local car is plugged in", mark, session(local, "SessionStarted")) {
		i.timed("a local card begins a session", session(local, "TransactionStarted"), i.mainCard("CARD3"))
	}
}

// timed records how long an action takes to have an effect.
func (i *incident) timed(check string, effect func(Observation) bool, action func(context.Context) error) {
	mark, begin := i.journal.mark(), time.Now()
	if !i.do(check, action) {
		return
	}
	err := i.await(i.patience.Checks, func() bool { return len(i.journal.since(mark, effect)) > 0 })
	if err != nil {
		i.record(check, err.Error(), false)
		return
	}
	took := i.journal.since(mark, effect)[0].At.Sub(begin)
	i.record(check, fmt.Sprintf("%.2f s", took.Seconds()), took <= i.pace.maxCardWait)
}

// back waits until a board is ready again, for longer than a check may take.
func (i *incident) back(place string, mark int, patience time.Duration) bool {
	return i.expectWithin(patience, "the "+place+" is ready again", mark, func(o Observation) bool { return o.Place == place && o.Kind == up })
}

// serves records that the backend has the satellite's EVSE available.
func (i *incident) serves(mark int) {
	i.expectWithin(4*i.patience.Checks, "backend: EVSE 2 is Available at last", mark, notified(remote, func(s statusNotification) bool {
		return s.Status == "Available"
	}))
}

// nextCustomer lets somebody charge at the satellite's EVSE, with a card that is presented on the main board, and then
// checks the accounts of that transaction.
func (i *incident) nextCustomer(card string) {
	mark := i.journal.mark()
	if i.do("the next car is plugged in", i.satellite.plugIn) &&
		i.expect("the next car: SessionStarted", mark, session(remote, "SessionStarted")) {
		i.nextCard(card)
	}
}

// nextCard presents the card of the next customer, whose car is plugged in.
func (i *incident) nextCard(card string) {
	mark := i.journal.mark()
	if !i.do("present the next card", i.mainCard(card)) {
		return
	}
	i.expect("Auth gives the next card to EVSE 2", mark, session(remote, "TransactionStarted"))
	if !i.expect("the backend gets StartTransaction of the next customer", mark, started(remote, card)) {
		return
	}
	next := i.latest(remote)
	i.expectWithin(2*i.patience.Checks, "the next car charges", mark, session(remote, "ChargingStarted"))
	i.expectWithin(2*i.patience.Checks, "the next car gets energy", mark, func(o Observation) bool {
		return o.Place == onSatellite && o.Kind == reading && readMeter(o.Value).Energy.Total >= chargedNext
	})
	end := i.journal.mark()
	i.timed("the next card ends its session", session(remote, "TransactionFinished"), i.mainCard(card))
	i.unplug(remote, "the next car is unplugged")
	i.endedOnce("the next transaction ends once, with the satellite's register", next.id, "Local", i.awaitEnd(next.id, end))
}

// awaitEnd waits for the end of a transaction at the backend and on the satellite, which the probes see in any order. It
// returns the register of the satellite's own end.
func (i *incident) awaitEnd(id, mark int) (wh float64) {
	_ = i.await(i.patience.Checks, func() bool { // what is missing is a finding of the caller
		own, found := i.ownEnd(mark)
		wh = own
		return found && i.stopped(id)
	})
	return wh
}

// endFirst ends the transaction that has outlived the incident.
func (i *incident) endFirst() {
	mark := i.journal.mark()
	i.timed("the customer's card ends the session", session(remote, "TransactionFinished"), i.mainCard("CARD1"))
	i.unplug(remote, "the satellite's car is unplugged")
	i.endedOnce("the transaction ends once, with the satellite's register", i.first.id, "Local", i.awaitEnd(i.first.id, mark))
}

// concludes records what holds whatever happened.
func (i *incident) concludes() {
	i.frames(i.mark, i.begin, i.first)
	i.keepsFuse()
}

// undisturbed records that the main board has not restarted, and that the local EVSE got its limits.
func (i *incident) undisturbed() {
	i.absent("the main board goes on", i.mark, func(o Observation) bool { return o.Place == onMain && o.Kind == down })
	i.limitsGoOn(i.begin, time.Now())
}
