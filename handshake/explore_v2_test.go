package handshake

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// pairing is a pair of boards whose link is explored.
type pairing struct {
	name       string
	agent      Dialects
	controller Dialects
	onLoss     LossPolicy
	hasSystem  bool
	// events and commands that each life of the boards makes.
	events, commands int
	faults           int
	initTimeout      time.Duration
	legacyBefore     bool
}

func (p pairing) world() *world {
	w := newWorld(p.hasSystem)
	w.agentConfig.Dialects = p.agent
	w.controllerConfig.Dialects = p.controller
	w.controllerConfig.LossPolicy, w.controllerConfig.InitTimeout, w.controllerConfig.LegacyBefore = p.onLoss, p.initTimeout, p.legacyBefore
	w.v2.events, w.v2.commands = p.events, p.commands
	return w
}

// TestExplorePairings checks the promises over every interleaving of each pairing of dialects. Where both speak v2,
// these are besides: no event is lost or comes twice or out of order while both processes live, no command is executed
// twice or after its negative answer, and from everywhere a way leads to where all events have arrived and all commands are answered.
func TestExplorePairings(t *testing.T) {
	for _, p := range []pairing{
		{name: "legacy agent", controller: AnyDialect, hasSystem: true, faults: *exploredFaults},
		{name: "legacy controller", agent: AnyDialect, hasSystem: true, faults: *exploredFaults},
		{name: "legacy agent, isolating controller", controller: AnyDialect, onLoss: IsolateOnLoss, hasSystem: true, faults: *exploredFaults - 1},
		{name: "v2", agent: AnyDialect, controller: AnyDialect, hasSystem: true, faults: *exploredFaults},
		{name: "v2, bounded start", agent: AnyDialect, controller: AnyDialect, hasSystem: true, initTimeout: time.Minute, faults: *exploredFaults - 1},
		{name: "v2, auto", agent: AnyDialect, controller: AnyDialect, onLoss: AutoOnLoss, hasSystem: true, faults: *exploredFaults - 1},
		{name: "v2 after legacy, auto", agent: AnyDialect, controller: AnyDialect, onLoss: AutoOnLoss, legacyBefore: true, hasSystem: true, faults: *exploredFaults - 2},
		{name: "legacy agent, auto", controller: AnyDialect, onLoss: AutoOnLoss, legacyBefore: true, hasSystem: true, faults: *exploredFaults - 1},
		{name: "legacy agent, bounded start", controller: AnyDialect, hasSystem: true, initTimeout: time.Minute, faults: *exploredFaults - 1},
		{name: "v2 without system", agent: AnyDialect, controller: AnyDialect, faults: *exploredFaults - 1},
		{name: "v2, isolating", agent: AnyDialect, controller: AnyDialect, onLoss: IsolateOnLoss, hasSystem: true, faults: *exploredFaults - 1},
		{name: "v2 with events", agent: AnyDialect, controller: AnyDialect, hasSystem: true, events: 2, faults: *exploredFaults - 1},
		{name: "v2 with commands", agent: AnyDialect, controller: AnyDialect, hasSystem: true, commands: 1, faults: *exploredFaults - 1},
		{name: "v2 with events, isolating", agent: AnyDialect, controller: AnyDialect, onLoss: IsolateOnLoss, hasSystem: true, events: 2, faults: *exploredFaults - 1},
		{name: "v2 with commands, isolating", agent: AnyDialect, controller: AnyDialect, onLoss: IsolateOnLoss, hasSystem: true, commands: 1, faults: *exploredFaults - 1},
		{name: "v2 with both, isolating", agent: AnyDialect, controller: AnyDialect, onLoss: IsolateOnLoss, hasSystem: true, events: 1, commands: 1, faults: *exploredFaults - 2},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			x := explore(p.world(), p.faults)
			if x.broken >= 0 {
				t.Fatalf("the shortest story:\n%s", x.story())
			}
			good := 0
			for _, s := range x.states {
				if s.good {
					good++
				}
			}
			t.Logf("%d states with up to %d faults, %d of them with both boards working together", len(x.states), p.faults, good)
			if good == 0 {
				t.Fatal("the boards never work together")
			}
		})
	}
}

// TestExplorePairingsFinds breaks v2 in several ways.
func TestExplorePairingsFinds(t *testing.T) {
	for _, test := range []struct {
		name  string
		twist func(*world, Event, []Action) []Action
		rule  string
		// events and commands that the story needs.
		events, commands int
		onLoss           LossPolicy
		faults           int // 1 where it is 0
	}{
		{
			name: "agent forgets its results at a resume",
			twist: func(w *world, event Event, actions []Action) []Action {
				if _, ok := event.(HelloCalled); ok {
					w.v2.ledger = Ledger[byte]{}
				}
				return actions
			},
			rule: "a command is executed twice", commands: 1,
		},
		{
			name: "agent forgets its journal at a resume",
			twist: func(w *world, event Event, actions []Action) []Action {
				if _, ok := event.(HelloCalled); ok && w.agent.agreed() {
					w.v2.journal = ""
				}
				return actions
			},
			rule: "an event is lost or comes twice", events: 2,
		},
		{
			name: "agent never knows the controller again",
			twist: func(w *world, event Event, actions []Action) []Action {
				for i, action := range actions {
					if a, ok := action.(Reply); ok && a.Function == IAmHere && a.Known {
						w.agent.state = Met
						actions = []Action{Reply{Conn: a.Conn, Function: IAmHere}}
						return actions[:i+1]
					}
				}
				return actions
			},
			rule: "the agent agrees with a second controller",
		},
		{
			name: "agent executes what it finds long after",
			twist: func(w *world, _ Event, actions []Action) []Action {
				for i := range w.connections {
					w.connections[i].lapsed = false
				}
				return actions
			},
			rule: "a command is executed after its negative answer", commands: 2, onLoss: IsolateOnLoss, faults: 2,
		},
		{
			name: "agent forgets its journal in an outage",
			twist: func(w *world, event Event, actions []Action) []Action {
				if _, ok := event.(HelloCalled); ok && w.controller.isolated {
					w.v2.journal = ""
				}
				return actions
			},
			rule: "an event is lost or comes twice", events: 2, onLoss: IsolateOnLoss, faults: 2,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := pairing{
				agent: AnyDialect, controller: AnyDialect, onLoss: test.onLoss, hasSystem: true, events: test.events, commands: test.commands,
			}.world()
			w.twist = test.twist
			x := explore(w, max(1, test.faults))
			if x.broken < 0 {
				t.Fatalf("found nothing, want %q", test.rule)
			}
			story := x.story()
			t.Logf("the shortest story:\n%s", story)
			if !strings.Contains(story, fmt.Sprintf("BROKEN: %s\n", test.rule)) {
				t.Errorf("found %q, want %q", x.rule, test.rule)
			}
		})
	}
}

// recoveredV2 is how long both boards may take from any state of v2. An expected loss is no exception: an agent that
// answers is joined.
const recoveredV2 = 3 * time.Minute

// TestExplorePairingsRecover lets time pass from every state of v2.
func TestExplorePairingsRecover(t *testing.T) {
	for _, onLoss := range []LossPolicy{RestartOnLoss, IsolateOnLoss} {
		x := explore(pairing{agent: AnyDialect, controller: AnyDialect, onLoss: onLoss, hasSystem: true}.world(), max(1, *exploredFaults-2))
		if x.broken >= 0 {
			t.Fatalf("the shortest story:\n%s", x.story())
		}
		for at := range x.states {
			w, _ := x.replay(at)
			w.log = nil
			if took, ok := w.recover(); !ok || took > recoveredV2 {
				_, story := x.replay(at)
				t.Fatalf("not together within %v, but %v after this story:\n%s", recoveredV2, took, story)
			}
		}
	}
}
