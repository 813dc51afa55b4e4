package proof

import (
	"context"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// bootPatience is how long a board may take to be ready after it has got its power back.
const bootPatience = 90 * time.Second

// killed is a satellite that loses its power for a while.
type killed struct {
	away   time.Duration
	policy string
	store  bool
}

func (k killed) run(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	before := i.register(time.Now())
	i.boards[onSatellite].kill()
	if k.policy != restart {
		i.until(2 * time.Second)
		i.localCard()
	}
	i.until(k.away)
	if k.away > outOfService && k.policy != restart {
		i.freed()
	}
	restored := i.journal.mark()
	i.boards[onSatellite].restore()
	i.returned(restored, k.policy, before, k.store)
}

// returned checks what follows the return of a satellite that has started again.
func (i *incident) returned(restored int, policy string, before float64, store bool) {
	i.back(onSatellite, restored, bootPatience)
	if policy == restart {
		i.expectWithin(bootPatience, "the main board has restarted", i.mark, func(o Observation) bool { return o.Place == onMain && o.Kind == up })
		i.readyForCards()
	}
	if store {
		i.endedOnce("the satellite's own end arrives once", i.first.id, "PowerLoss", i.awaitEnd(i.first.id, restored))
	} else {
		_ = i.await(i.patience.Checks, func() bool { return i.stopped(i.first.id) })
		i.endedOnce("the end is told once, with the last register", i.first.id, "PowerLoss", before)
	}
	i.serves(i.mark)
	i.nextCustomer("CARD4")
	if policy != restart {
		i.undisturbed()
	}
	i.concludes()
}

// resetAlone is a satellite that is reset through the main board, which goes on whatever the policy is.
func resetAlone(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	before := i.register(time.Now())
	if !i.do("reset the satellite", func(ctx context.Context) error {
		_, err := everest.Call[any](ctx, i.main.connected().Requires("satellite_system")[0], "reset", map[string]any{"type": "Soft", "scheduled": false})
		return err
	}) {
		return
	}
	i.returned(i.mark, isolate, before, true)
}

// mainKilled is a main board that loses its power for 5 s. The satellite restarts with it.
func mainKilled(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	i.boards[onMain].kill()
	i.until(5 * time.Second)
	restored := i.journal.mark()
	i.boards[onMain].restore()
	i.rebooted(restored)
}

// siteCut is a power cut of the site, after which the satellite comes back later than the main board.
type siteCut struct{ policy string }

func (c siteCut) run(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	i.boards[onMain].kill()
	i.boards[onSatellite].kill()
	i.until(5 * time.Second)
	restored := i.journal.mark()
	i.boards[onMain].restore()
	i.until(50 * time.Second)
	if c.policy != restart {
		i.expect("the main board connects without the satellite", restored, connectedToBackend)
		i.record("the transaction is open until the satellite is back", fmt.Sprint(i.transactions()[i.first.id-1].stops), !i.stopped(i.first.id))
	}
	i.boards[onSatellite].restore()
	i.back(onSatellite, restored, bootPatience)
	i.rebooted(restored)
}

// rebooted checks what follows the restart of the main board.
func (i *incident) rebooted(restored int) {
	i.back(onMain, restored, bootPatience)
	i.expectWithin(bootPatience, "OCPP connects to the backend again", restored, connectedToBackend)
	_ = i.await(bootPatience, func() bool { return i.stopped(i.first.id) })
	all := i.transactions()
	stops := all[i.first.id-1].stops
	i.record("the transaction ends once, by PowerLoss", fmt.Sprint(stops), len(stops) == 1 && stops[0].Reason == "PowerLoss")
	i.serves(restored)
	i.readyForCards()
	i.nextCustomer("CARD4")
	i.concludes()
}

// absentAtStart is a satellite that comes 20 s after the main board works without it.
func absentAtStart(r *Run) {
	begin := time.Now()
	i := &incident{Run: r, begin: begin}
	i.expectWithin(bootPatience, "OCPP connects to the backend without the satellite", 0, connectedToBackend)
	i.expect("backend: EVSE 2 is Faulted", 0, notified(remote, faultedByName))
	i.start(local, "of the local EVSE", i.mainCard("CARD2"))
	restored := i.journal.mark()
	i.boards[onSatellite].restore()
	i.back(onSatellite, restored, bootPatience)
	i.serves(restored)
	i.nextCustomer("CARD4")
	i.mark = restored
	i.undisturbed()
	i.mark = 0
	i.concludes()
}

// estimates begins a cut, and expects the estimated end after session_deadline_s.
func (r *Run) estimates() (*incident, bool) {
	i, ok := r.begins()
	if !ok {
		return nil, false
	}
	before := i.register(time.Now())
	i.cut()
	i.until(8 * time.Second)
	_ = i.await(80*time.Second, func() bool { return i.stopped(i.first.id) })
	i.endedOnce("the end is estimated, with the last register", i.first.id, "PowerLoss", before)
	return i, true
}

// lateEnd: the car is unplugged and the next one plugged in during the cut, in which the end is estimated.
func lateEnd(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	before := i.register(time.Now())
	i.cut()
	i.until(8 * time.Second)
	unplugged := i.journal.mark()
	if i.do("unplug", i.satellite.unplug) {
		i.expect("the satellite's session ends in the cut", unplugged, func(o Observation) bool {
			return o.Place == onSatellite && o.Kind == sessionEvent && o.Name == "SessionFinished"
		})
	}
	i.do("the next car is plugged in", i.satellite.plugIn)
	_ = i.await(80*time.Second, func() bool { return i.stopped(i.first.id) })
	i.until(60 * time.Second)
	healed := i.journal.mark()
	i.heal()
	i.expect("the next car: SessionStarted", healed, session(remote, "SessionStarted"))
	i.nextCard("CARD4")
	i.endedOnce("the end was estimated, the late one is not told", i.first.id, "PowerLoss", before)
	i.undisturbed()
	i.concludes()
}

// outlived: the transaction still runs when the link is back after its estimated end.
func outlived(r *Run) {
	i, ok := r.estimates()
	if !ok {
		return
	}
	i.until(60 * time.Second)
	healed := i.journal.mark()
	i.heal()
	i.expect("the satellite ends the transaction that was told as ended", healed, func(o Observation) bool {
		return o.Place == onSatellite && o.Kind == sessionEvent && o.Name == "TransactionFinished"
	})
	i.unplugUnknown()
	i.nextCustomer("CARD4")
	i.record("the late end is not told", fmt.Sprint(i.transactions()[i.first.id-1].stops), len(i.transactions()[i.first.id-1].stops) == 1)
	i.undisturbed()
	i.concludes()
}

// unplugUnknown unplugs the satellite's car, of whose session the main board knows nothing any more.
func (i *incident) unplugUnknown() {
	mark := i.journal.mark()
	if i.do("unplug", i.satellite.unplug) {
		i.expect("the car of the ended transaction is unplugged", mark, func(o Observation) bool {
			return o.Place == onSatellite && o.Kind == sessionEvent && o.Name == "SessionFinished"
		})
	}
}

// staleStore: the satellite comes back, and tells the end of its store, after the end was estimated.
func staleStore(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	before := i.register(time.Now())
	i.boards[onSatellite].kill()
	_ = i.await(80*time.Second, func() bool { return i.stopped(i.first.id) })
	i.until(90 * time.Second)
	restored := i.journal.mark()
	i.boards[onSatellite].restore()
	i.back(onSatellite, restored, bootPatience)
	i.serves(restored)
	i.nextCustomer("CARD4")
	i.endedOnce("the end was estimated, the store's is not told", i.first.id, "PowerLoss", before)
	i.undisturbed()
	i.concludes()
}
