package proof

import (
	"fmt"
	"time"
)

// The loss policies.
const (
	restart = "restart"
	isolate = "isolate"
	auto    = "auto"
)

// outOfService is how long a cut has to be before on_loss applies: the defaults of link_timeout_ms and resume_window_s.
const outOfService = 31500 * time.Millisecond

// Outages returns the scenarios in which a board or the link is lost.
func Outages() []Scenario {
	var all []Scenario
	add := func(name string, outage Outage, run func(*Run)) {
		all = append(all, Scenario{Name: name, Setup: Setup{Backend: true, Outage: &outage}, run: run})
	}
	// installed adds what needs a System, or a directory of state for each process.
	installed := func(name string, outage Outage, run func(*Run)) {
		add(name, outage, run)
		all[len(all)-1].Installed = true
	}
	for _, policy := range []string{auto, isolate, restart} {
		for _, seconds := range []time.Duration{60, 31, 5} {
			add(fmt.Sprintf("%s, cut of %d s, unplugged in it", policy, seconds), Outage{OnLoss: policy}, cut{seconds * time.Second, true, policy}.run)
			add(fmt.Sprintf("%s, cut of %d s, still plugged in", policy, seconds), Outage{OnLoss: policy}, cut{seconds * time.Second, false, policy}.run)
		}
	}
	for _, policy := range []string{auto, restart} {
		for _, seconds := range []time.Duration{10, 90} {
			for _, store := range []bool{false, true} {
				name := fmt.Sprintf("%s, satellite killed, back after %d s, %s", policy, seconds, map[bool]string{false: "no store", true: "store"}[store])
				add(name, Outage{OnLoss: policy, Store: store}, killed{seconds * time.Second, policy, store}.run)
			}
		}
		installed(policy+", satellite reset alone", Outage{OnLoss: policy, Store: true}, resetAlone)
		add(policy+", main board killed", Outage{OnLoss: policy, Store: true}, mainKilled)
		installed(policy+", site power cut", Outage{OnLoss: policy, Store: true}, siteCut{policy}.run)
	}
	add("auto, end estimated in a cut of 60 s, next car in it", Outage{OnLoss: auto, Deadline: 20}, lateEnd)
	add("auto, end estimated in a cut of 60 s, still plugged in", Outage{OnLoss: auto, Deadline: 20}, outlived)
	add("auto, end estimated, back after 90 s, store", Outage{OnLoss: auto, Deadline: 20, Store: true}, staleStore)
	add("auto, satellite absent at start", Outage{OnLoss: auto, Absent: true}, absentAtStart)
	return all
}

// cut is a cable that is cut for a while.
type cut struct {
	takes   time.Duration
	unplugs bool
	policy  string
}

func (c cut) run(r *Run) {
	i, ok := r.begins()
	if !ok {
		return
	}
	i.cut()
	outlived := c.policy != restart || c.takes < outOfService
	if c.takes > 10*time.Second {
		i.until(2 * time.Second)
		i.localCard()
	}
	if c.unplugs {
		i.until(min(8*time.Second, c.takes/2))
		i.do("unplug", i.satellite.unplug)
	}
	i.until(c.takes)
	if c.takes > outOfService && outlived {
		i.freed()
	}
	atHeal := i.journal.mark()
	i.heal()
	if !outlived {
		i.bothRestarted(atHeal)
		return
	}
	if c.takes > outOfService {
		i.expect("backend: EVSE 2 is Faulted in the cut", i.mark, notified(remote, faultedByName))
	}
	if c.unplugs {
		i.endedOnce("the true end arrives once", i.first.id, "EVDisconnected", i.awaitEnd(i.first.id, i.mark))
		i.serves(atHeal)
	} else {
		i.expect("the main board gets meter values again", atHeal, func(o Observation) bool {
			return o.Kind == reading && o.Place == onMain && o.EVSE == remote
		})
		if c.takes > 12*time.Second {
			i.expect("the car charges again", atHeal, session(remote, "ChargingStarted"))
		}
		i.endFirst()
	}
	i.nextCustomer("CARD4")
	i.undisturbed()
	i.concludes()
}

// bothRestarted is what the policy restart makes of a long cut.
func (i *incident) bothRestarted(atHeal int) {
	i.expect("the main board restarts", i.mark, func(o Observation) bool { return o.Place == onMain && o.Kind == down })
	i.expectWithin(6*i.patience.Checks, "both boards are ready again", atHeal, func(o Observation) bool { return o.Place == onMain && o.Kind == up })
	_ = i.await(i.patience.Checks, func() bool { return i.stopped(i.first.id) })
	all := i.transactions()
	i.record("the backend gets one end", fmt.Sprint(all[i.first.id-1].stops), len(all[i.first.id-1].stops) == 1)
	i.readyForCards()
	i.nextCustomer("CARD4")
	i.concludes()
}
