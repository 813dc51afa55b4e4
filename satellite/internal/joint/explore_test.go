// Package joint has no code but tests: it joins the machines of the handshake, of an EVSE's occupancy and of the outbox,
// each the real one, with two boards, a cable and customers between them, and walks every interleaving.
package joint

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// moreFaults is how many faults more than by default the explorer lets happen in one story.
var moreFaults = flag.Int("joint.faults", 0, "number of faults that the joined explorer lets happen beyond its default")

// choice is one thing that can happen.
type choice struct {
	what  string
	fault bool
	apply func(*world)
}

// choices lists everything that can happen next. The first one that is no fault and no customer's leads back to where
// everything works.
func (w *world) choices() []choice {
	var list []choice
	add := func(what string, apply func(*world)) { list = append(list, choice{what, false, apply}) }
	for i := range w.conns {
		if w.out {
			break
		}
		// A connection's first messages are walked by the explorer of package handshake.
		if c := &w.conns[i]; w.onlyOneToAgent() && len(c.toAgent) > 0 && c.toAgent[0].kind <= hello {
			return []choice{{"", false, func(w *world) { w.deliverToAgent(i) }}}
		} else if len(c.toController) > 0 && c.toController[0].kind <= hello {
			return []choice{{"", false, func(w *world) { w.deliverToController(i) }}}
		}
		if len(w.conns[i].toAgent) > 0 && !w.still {
			add("", func(w *world) { w.deliverToAgent(i) })
		}
		if len(w.conns[i].toController) > 0 {
			add("", func(w *world) { w.deliverToController(i) })
		}
	}
	if w.satellite.init && !w.port.up {
		add("EvseManager boots", (*world).boot)
	}
	if w.satellite.init && w.port.up && !w.satellite.ready {
		return []choice{{"", false, func(w *world) {
			w.satellite.ready = true
			w.stepAgent(handshake.BoardReady{})
		}}}
	}
	if w.main.init && !w.main.ready {
		add("the main board becomes ready", func(w *world) {
			w.main.ready = true
			w.publishQueue()
			w.stepController(handshake.BoardReady{})
		})
	}
	if len(w.running) > 0 {
		add("", (*world).carryOut)
	}
	if w.resetting {
		add("the satellite goes down for its reset", (*world).endSatellite)
	}
	if w.main.timers[retryTimer].on && w.serving && !w.out {
		add("", func(w *world) { w.fireController(retryTimer) })
	}
	busy := len(list) > 0
	if w.out {
		add("the cable is in again", func(w *world) { w.out = false })
	}
	if w.still {
		add("the agent goes on", func(w *world) { w.still = false })
	}
	if !w.satellite.up {
		add("the satellite starts", (*world).startSatellite)
	}
	if !w.main.up {
		add("the main board starts", (*world).startMain)
	}
	if at, fire := w.next(); fire != nil && (w.slow || !busy || at <= w.now) {
		list = append(list, choice{fmt.Sprintf("%v pass", max(0, at-w.now)), busy && at > w.now, (*world).pass})
	}
	return append(list, w.free()...)
}

// onlyOneToAgent reports whether the agent can read from one connection alone.
func (w *world) onlyOneToAgent() bool {
	count := 0
	for i := range w.conns {
		if len(w.conns[i].toAgent) > 0 {
			count++
		}
	}
	return count == 1 && !w.still
}

// outstanding reports whether something happens without anybody's deed.
func (w *world) outstanding(all []choice) bool {
	return len(all) == 1 && all[0].what == "" || len(all) > len(w.free()) && !all[0].fault
}

// free are the deeds of customers, the main board's calls, and the faults.
func (w *world) free() []choice {
	var list []choice
	add := func(what string, apply func(*world)) { list = append(list, choice{what, false, apply}) }
	p := &w.port
	switch {
	case !p.up:
	case p.session == 0 && p.customers < w.sessions:
		add("a car is plugged in", (*world).plugIn)
	case p.session != 0 && !p.charging && !p.charged:
		add("it is authorised", (*world).authorise)
	}
	if p.up && p.session != 0 {
		add("it is unplugged", (*world).unplug)
	}
	if w.main.up && w.main.ready && w.asked(ask) < w.asks {
		add("the main board asks", func(w *world) { w.call(ask) })
	}
	if w.main.up && w.main.ready && w.asked(limits) < w.limits && !w.station.freed {
		add("the main board sends limits", func(w *world) { w.call(limits) })
	}
	if w.faults >= w.rules.faults {
		return list
	}
	fault := func(what string, apply func(*world)) { list = append(list, choice{what, true, apply}) }
	if !w.out {
		fault("the cable is out", func(w *world) { w.out = true })
	}
	if w.satellite.up {
		fault("the satellite dies", (*world).endSatellite)
		if w.stands && !w.still {
			fault("the agent stands still", func(w *world) { w.still = true })
		}
		if w.alone {
			fault("the agent dies alone", (*world).endAgent)
		}
	}
	if w.main.up && w.dies {
		fault("the main board dies", (*world).endMain)
	}
	for i := range w.conns {
		if c := &w.conns[i]; c.controllerOpen && c.agentOpen && !c.cut {
			fault("the connection is cut", func(w *world) { w.cut(i) })
		}
	}
	if w.resets && w.healthy() {
		fault("the main board resets the satellite", func(w *world) {
			c := w.ofController(w.controllerConn)
			c.send(&c.toAgent, message{kind: resetCall}, true)
			w.stepController(handshake.ResetForwarded{})
		})
	}
	return list
}

func (w *world) asked(kind byte) (count uint8) {
	for _, c := range w.commands {
		if c.kind == kind {
			count++
		}
	}
	return count
}

// cut ends a connection for both sides. What was on its way is lost.
func (w *world) cut(i int) {
	c := &w.conns[i]
	c.toAgent, c.toController, c.cut = []message{{kind: eof}}, []message{{kind: eof}}, true
}

// seen is one explored state: how it was reached, and the state that follows without anybody's deed.
type seen struct {
	world          *world // nil once expanded
	parent, choice int32
	onward         int32 // -1 where nothing is outstanding
}

type exploration struct {
	rules  rules
	start  *world // both boards at work with each other
	states []seen
	broken string
	story  string
}

// explore walks every interleaving breadth first, so that the first broken rule has the shortest story.
func explore(r rules) *exploration {
	x := &exploration{rules: r}
	start := newWorld(r)
	for all := start.choices(); start.outstanding(all); all = start.choices() {
		all[0].apply(start)
	}
	x.start = start.clone()
	index := map[string]int32{start.key(): 0}
	x.states = append(x.states, seen{world: start, parent: -1})
	for at := 0; at < len(x.states); at++ {
		w := x.states[at].world
		x.states[at].world = nil
		x.states[at].onward = -1
		all := w.choices()
		outstanding := w.outstanding(all)
		w.abandoned()
		if w.broken != "" {
			x.tell(at, -1)
			return x
		}
		if !outstanding {
			w.settled()
			if w.broken != "" {
				x.tell(at, -1)
				return x
			}
		}
		for n, choice := range all {
			next := w.clone()
			if choice.fault {
				next.faults++
				if next.faults > r.faults {
					continue
				}
			}
			choice.apply(next)
			k := next.key()
			to, known := index[k]
			if !known {
				to = int32(len(x.states))
				index[k] = to
				x.states = append(x.states, seen{world: next, parent: int32(at), choice: int32(n)})
			}
			if n == 0 && outstanding {
				x.states[at].onward = to
			}
			if next.broken != "" {
				x.tell(at, n)
				return x
			}
		}
	}
	x.findEndless()
	return x
}

// findEndless looks for a state from which, without anybody's deed, the world never comes to rest.
func (x *exploration) findEndless() {
	rests := make([]int8, len(x.states)) // 1: comes to rest, 2: under way
	for i := range x.states {
		var way []int32
		at := int32(i)
		for rests[at] == 0 {
			rests[at] = 2
			way = append(way, at)
			if x.states[at].onward < 0 {
				rests[at] = 1
				break
			}
			at = x.states[at].onward
		}
		if rests[at] == 2 {
			x.tell(int(at), -1)
			x.broken = "the boards never come to rest"
			return
		}
		for _, one := range way {
			rests[one] = 1
		}
	}
}

// tell repeats the way to a state, and a last choice from there.
func (x *exploration) tell(to, last int) {
	var path []int
	if last >= 0 {
		path = append(path, last)
	}
	for at := int32(to); x.states[at].parent >= 0; at = x.states[at].parent {
		path = append(path, int(x.states[at].choice))
	}
	slices.Reverse(path)
	var story strings.Builder
	w := x.start.clone()
	w.log = func(format string, args ...any) { fmt.Fprintf(&story, "  "+format+"\n", args...) }
	for _, n := range path {
		choice := w.choices()[n]
		if choice.fault {
			w.faults++
			story.WriteString("FAULT: ")
		}
		if choice.what != "" {
			fmt.Fprintln(&story, choice.what)
		}
		choice.apply(w)
	}
	if last < 0 {
		w.abandoned()
		if !w.outstanding(w.choices()) {
			w.settled()
		}
	}
	x.broken, x.story = w.broken, story.String()
}

// TestExplore walks all interleavings of a station, its customers and its faults.
func TestExplore(t *testing.T) {
	const isolate, restart = handshake.IsolateOnLoss, handshake.RestartOnLoss
	for _, test := range []struct {
		name string
		rules
		deep bool // -joint.faults is for it
	}{
		{"isolate", rules{onLoss: isolate, sessions: 1, dies: true, faults: 1}, true},
		{"isolate, store", rules{onLoss: isolate, sessions: 1, store: true, dies: true, faults: 1}, true},
		{"isolate, store, kept", rules{onLoss: isolate, sessions: 1, store: true, keeps: true, dies: true, faults: 1}, true},
		{"isolate, everything kept", rules{onLoss: isolate, sessions: 1, store: true, keeps: true, agentKeeps: true, dies: true, faults: 1}, true},
		{"isolate, two customers", rules{onLoss: isolate, sessions: 2, dies: true, faults: 1}, false},
		{"isolate, two customers, everything kept", rules{onLoss: isolate, sessions: 2, store: true, keeps: true, agentKeeps: true, dies: true, faults: 1}, false},
		{"isolate, slow", rules{onLoss: isolate, sessions: 1, store: true, keeps: true, dies: true, slow: true, stands: true, faults: 1}, false},
		{"auto, kept", rules{onLoss: handshake.AutoOnLoss, sessions: 1, keeps: true, dies: true, resets: true, faults: 1}, false},
		{"restart", rules{onLoss: restart, sessions: 1, dies: true, resets: true, faults: 1}, true},
		{"restart, store", rules{onLoss: restart, sessions: 1, store: true, dies: true, resets: true, faults: 1}, true},
		{"restart, bounded start", rules{onLoss: restart, initTimeout: 30 * time.Second, sessions: 1, store: true, dies: true, resets: true, faults: 1}, false},
		{"agent alone", rules{onLoss: isolate, sessions: 1, alone: true, store: true, agentKeeps: true, faults: 1}, true},
		{"commands", rules{onLoss: isolate, asks: 2, slow: true, stands: true, dies: true, faults: 1}, false},
		{"fuse", rules{onLoss: isolate, limits: 2, validFor: 10, alone: true, stands: true, faults: 1}, false},
		{"fuse, main board dies", rules{onLoss: isolate, limits: 1, validFor: 10, dies: true, faults: 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.deep {
				test.rules.faults += *moreFaults
			}
			x := explore(test.rules)
			if x.broken != "" {
				t.Fatalf("%d states; the shortest story:\n%sBROKEN: %s", len(x.states), x.story, x.broken)
			}
			t.Logf("%d states with up to %d faults", len(x.states), test.rules.faults)
		})
	}
}

// TestExploreFinds breaks one part in turn. The explorer must see it.
func TestExploreFinds(t *testing.T) {
	isSessionEvent := func(a occupancy.Action) bool {
		p, ok := a.(occupancy.Publish)
		return ok && p.Variable == "session_event"
	}
	const isolate = handshake.IsolateOnLoss
	for _, test := range []struct {
		name string
		rules
		want string
	}{
		{"every end is passed on", rules{onLoss: isolate, sessions: 2, faults: 1, twist: twist{
			machine: func(event occupancy.Event, actions []occupancy.Action) []occupancy.Action {
				if p, ok := event.(occupancy.Published); ok && slices.ContainsFunc(actions, func(a occupancy.Action) bool { _, drop := a.(occupancy.Drop); return drop }) {
					return append(actions, occupancy.Publish{Variable: p.Variable, Value: p.Value})
				}
				return actions
			},
		}}, "after its end"},
		{"no end is estimated", rules{onLoss: isolate, sessions: 1, faults: 1, twist: twist{
			machine: func(_ occupancy.Event, actions []occupancy.Action) []occupancy.Action {
				if slices.ContainsFunc(actions, func(a occupancy.Action) bool { _, estimated := a.(occupancy.Estimated); return estimated }) {
					return slices.DeleteFunc(actions, isSessionEvent)
				}
				return actions
			},
		}}, "stays open although the satellite stays away"},
		{"the share is not held", rules{onLoss: isolate, limits: 1, validFor: 10, alone: true, faults: 1, twist: twist{
			machine: func(event occupancy.Event, actions []occupancy.Action) []occupancy.Action {
				if _, ok := event.(occupancy.Lost); ok {
					return append(actions, occupancy.Publish{Variable: occupancy.FlowRequest})
				}
				return actions
			},
		}}, "the share is freed"},
		{"the agent looks at no lease", rules{onLoss: isolate, asks: 1, stands: true, faults: 1, twist: twist{lease: true}}, "after its negative answer"},
		{"the agent cancels nothing", rules{onLoss: isolate, asks: 1, faults: 1, twist: twist{cancel: true}}, "after its negative answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := explore(test.rules)
			if !strings.Contains(x.broken, test.want) {
				t.Fatalf("found %q in %d states, want %q\n%s", x.broken, len(x.states), test.want, x.story)
			}
			t.Logf("%d states; the shortest story:\n%s", len(x.states), x.story)
		})
	}
}
