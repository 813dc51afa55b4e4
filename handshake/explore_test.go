package handshake

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// exploredFaults is how many faults TestExplore lets happen in one story.
var exploredFaults = flag.Int("faults", 3, "number of faults that the explorer lets happen")

// TestExplore checks the four promises of the package over every interleaving.
func TestExplore(t *testing.T) {
	for _, hasSystem := range []bool{true, false} {
		t.Run(fmt.Sprintf("system=%v", hasSystem), func(t *testing.T) {
			x := explore(newWorld(hasSystem), *exploredFaults)
			if x.broken >= 0 {
				t.Fatalf("the shortest story:\n%s", x.story())
			}
			good := 0
			for _, s := range x.states {
				if s.good {
					good++
				}
			}
			t.Logf("%d states with up to %d faults, %d of them with both boards working together", len(x.states), *exploredFaults, good)
			if good == 0 {
				t.Fatal("the boards never work together")
			}
		})
	}
}

// TestExploreFinds breaks the agent in several ways. The explorer must find the shortest story of each.
func TestExploreFinds(t *testing.T) {
	for _, test := range []struct {
		name   string
		twist  func(*world, Event, []Action) []Action
		rule   string
		faults int // in the shortest story
	}{
		{
			name: "agent forgets whom it met",
			twist: func(w *world, event Event, actions []Action) []Action {
				if len(actions) == 0 {
					return actions
				}
				if a, ok := actions[0].(Reply); ok && a.Known {
					w.agent.state = Waiting
					return w.agent.Step(event)
				}
				return actions
			},
			rule:   "the agent's init ends twice",
			faults: 1,
		},
		{
			name: "agent agrees before it registered its work",
			twist: func(_ *world, _ Event, actions []Action) []Action {
				return slices.DeleteFunc(actions, func(a Action) bool { return a == RegisterWork{} })
			},
			rule:   "a work function reaches an agent that has not agreed with its caller",
			faults: 1,
		},
		{
			name: "agent never restarts its board",
			twist: func(_ *world, _ Event, actions []Action) []Action {
				return slices.DeleteFunc(actions, func(a Action) bool {
					switch a := a.(type) {
					case ResetSystem, ExitProcess:
						return true
					case StartTimer:
						return a.Timer == resetTimer
					}
					return false
				})
			},
			rule:   lost,
			faults: 1,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(true)
			w.twist = test.twist
			x := explore(w, 2)
			if x.broken < 0 {
				t.Fatalf("found nothing, want %q", test.rule)
			}
			story := x.story()
			t.Logf("the shortest story:\n%s", story)
			if !strings.HasSuffix(story, "BROKEN: "+test.rule+"\n") {
				t.Errorf("found %q, want %q", x.rule, test.rule)
			}
			if n := strings.Count(story, "FAULT: "); n != test.faults {
				t.Errorf("the story has %d faults, want %d", n, test.faults)
			}
		})
	}
}

// recovered is how long both boards may take, from any state and without a further fault, until they work together. The
// longest way is that of a main board which waits for an update that does not happen.
const recovered = 35 * time.Minute

// TestExploreRecovers lets time pass from every state: both boards work together again within a bound, not only on some
// lucky way.
func TestExploreRecovers(t *testing.T) {
	x := explore(newWorld(true), *exploredFaults-1)
	if x.broken >= 0 {
		t.Fatalf("the shortest story:\n%s", x.story())
	}
	var longest time.Duration
	longestAt := 0
	for at := range x.states {
		w, _ := x.replay(at)
		w.log = nil
		took, ok := w.recover()
		if !ok {
			_, story := x.replay(at)
			t.Fatalf("not together within %v after this story:\n%s", recovered, story)
		}
		if took > longest {
			longest, longestAt = took, at
		}
	}
	_, story := x.replay(longestAt)
	t.Logf("from each of %d states together within %v; the longest way follows\n%s", len(x.states), longest, story)
}

// recover runs the world by the clock: messages take no time, a board that is down is back after three seconds, and an
// update ends after ten minutes.
func (w *world) recover() (time.Duration, bool) {
	const boot, update = 3 * time.Second, 10 * time.Minute
	var agentBoot, mainBoot, updateEnd time.Duration
	for w.now <= recovered {
		end := recovered + 1
		if !w.satellite.up {
			if agentBoot == 0 {
				agentBoot = w.now + boot
			}
			end = min(end, agentBoot)
		}
		if !w.main.up {
			if mainBoot == 0 {
				mainBoot = w.now + boot
			}
			end = min(end, mainBoot)
		}
		if w.satellite.up && w.agent.firmware {
			if updateEnd == 0 {
				updateEnd = w.now + update
			}
			end = min(end, updateEnd)
		} else {
			updateEnd = 0
		}
		switch {
		case w.together():
			return w.now, true
		case w.deliverOne():
		case w.satellite.init && !w.satellite.ready:
			w.agentReady()
		case w.main.init && !w.main.ready:
			w.controllerReady()
		case w.resetting:
			w.endAgent()
		case w.fireNext(end):
		case end == updateEnd:
			w.now, updateEnd = end, 0
			w.stepAgent(FirmwareEnded{})
		case end == agentBoot:
			w.now, agentBoot = end, 0
			w.startAgent()
		case end == mainBoot:
			w.now, mainBoot = end, 0
			w.startController()
		default:
			return w.now, false
		}
	}
	return w.now, false
}
