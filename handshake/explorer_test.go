package handshake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// lost is the rule that a state without a way out breaks.
const lost = "nothing leads from here to both boards working together"

// stranger is the connection of a peer that is not the controller.
const stranger ConnID = 99

// choice is one thing that can happen in a world.
type choice struct {
	what  string
	fault bool
	apply func(*world)
}

// timers are the kinds each side uses.
var (
	controllerTimers = []Timer{callTimer, retryTimer, pollTimer, replyTimer, exitTimer, resetWindowTimer, absenceTimer, resumeTimer, initTimer}
	// The agent's pollTimer is its shell's: the heartbeat of link_events.
	agentTimers = []Timer{pollTimer, heartbeatTimer, resumeTimer, drainTimer, resetDelayTimer, resetTimer}
)

// choices lists everything that can happen next. Faults are offered while there are some left.
func (w *world) choices(faults int) []choice {
	var list []choice
	add := func(what string, apply func(*world)) { list = append(list, choice{what, false, apply}) }
	for i, c := range w.connections {
		if c.toAgent != "" {
			add("", func(w *world) { w.deliverToAgent(i) })
		}
		if c.toController != "" {
			add("", func(w *world) { w.deliverToController(i) })
		}
	}
	if w.satellite.init && !w.satellite.ready {
		add("", (*world).agentReady)
	}
	if w.main.init && !w.main.ready {
		add("", (*world).controllerReady)
	}
	busy := len(list) > 0
	w.choicesV2(add)
	if !w.satellite.up {
		add("the satellite board starts", (*world).startAgent)
	}
	if !w.main.up {
		add("the main board starts", (*world).startController)
	}
	if w.satellite.up && w.agent.firmware {
		add("the agent hears the end of the update", func(w *world) { w.stepAgent(FirmwareEnded{}) })
	}
	if w.main.up && w.controller.firmware {
		add("the controller hears the end of the update", func(w *world) { w.stepController(FirmwareEnded{}) })
	}
	if w.resetting {
		add("the satellite board goes down for its reset", (*world).endAgent)
	}
	list = append(list, w.timerChoices(busy)...)
	if w.faults < faults {
		return append(list, w.faultChoices()...)
	}
	return slices.DeleteFunc(list, func(c choice) bool { return c.fault })
}

// timerChoices offers every running timer. A timer that runs out while a shorter one still runs means a delay, which is
// a fault.
func (w *world) timerChoices(busy bool) []choice {
	var list []choice
	quickest := time.Duration(1<<63 - 1)
	for _, t := range controllerTimers {
		// The pauses of a start repeat for ever: a longer timer elsewhere runs out meanwhile.
		if a := w.main.alarms[t]; a.after > 0 && t != callTimer && t != retryTimer {
			quickest = min(quickest, a.after)
		}
	}
	for _, t := range agentTimers {
		// So does the watchdog while the controller's absence is expected.
		if a := w.satellite.alarms[t]; a.after > 0 && !((t == heartbeatTimer || t == resumeTimer) && w.agent.firmware) {
			quickest = min(quickest, a.after)
		}
	}
	offer := func(who string, t Timer, a alarm, fire func(*world)) {
		if a.after == 0 {
			return
		}
		late := busy || a.after > quickest
		what := ""
		if late {
			what = fmt.Sprintf("FAULT: something takes longer than the %s's %v", who, t)
		}
		list = append(list, choice{what, late, fire})
	}
	for _, t := range controllerTimers {
		offer("controller", t, w.main.alarms[t], func(w *world) { w.fireController(t) })
	}
	for _, t := range agentTimers {
		offer("agent", t, w.satellite.alarms[t], func(w *world) { w.fireAgent(t) })
	}
	return list
}

func (w *world) faultChoices() []choice {
	var list []choice
	add := func(what string, apply func(*world)) { list = append(list, choice{"FAULT: " + what, true, apply}) }
	if w.satellite.up {
		add("the agent crashes", (*world).endAgent)
		add("the agent is stopped", func(w *world) { w.stepAgent(Stop{}) })
		add("the agent's journal overflows", func(w *world) { w.stepAgent(JournalFull{}) })
	}
	if w.main.up {
		add("the controller crashes", (*world).endController)
		add("the controller is stopped", func(w *world) { w.stepController(Stop{}) })
	}
	if w.resetting {
		add("the satellite board refuses the reset", func(w *world) {
			w.resetting = false
			w.stepAgent(ResetRefused{})
		})
		add("the satellite board forgets the reset", func(w *world) { w.resetting = false })
	}
	if w.serving {
		add("a second controller announces itself and leaves", func(w *world) {
			w.stepAgent(Called{stranger, IAmHere})
			w.stepAgent(Disconnected{stranger})
		})
		add("somebody says good-bye", func(w *world) { w.stepAgent(Called{stranger, Exit}) })
	}
	if w.ofController(w.controller.conn) != nil && (w.controller.state == Agreed || w.controller.state == Working) {
		add("a firmware update is sent", func(w *world) { w.passOn(callFirmware) })
		add("a reset is passed on", func(w *world) {
			w.stepController(ResetForwarded{})
			w.passOn(callReset)
		})
	}
	for i, c := range w.connections {
		if !strings.HasSuffix(c.toController, ".") && !c.silent {
			add(fmt.Sprintf("connection %d is cut", c.controllerConn), func(w *world) { w.cut(i) })
			add(fmt.Sprintf("connection %d falls silent", c.controllerConn), func(w *world) { w.stall(i) })
		}
	}
	return list
}

// key names a state. Sequence that only grow are left out: lives and links matter only where they are the present ones.
func (w *world) key() string {
	b := make([]byte, 0, 64)
	flag := func(flags ...bool) {
		var v byte
		for i, f := range flags {
			if f {
				v |= 1 << i
			}
		}
		b = append(b, v)
	}
	a, c := &w.agent, &w.controller
	b = append(b, byte(w.faults), byte(a.state), byte(c.state), byte(a.reason), byte(a.held))
	flag(w.satellite.up, w.satellite.init, w.satellite.ready, w.serving, w.working, w.resetting, a.firmware, a.resetAsked)
	flag(w.main.up, w.main.init, w.main.ready, c.polling, c.firmware, c.reset, a.boardReady, c.boardReady)
	flag(w.satellite.partner == 0, w.satellite.partner == w.main.life,
		w.main.partner == 0, w.main.partner == w.satellite.life, w.main.alarms[pollTimer].after > time.Second)
	for _, t := range controllerTimers {
		flag(w.main.alarms[t].after > 0)
	}
	for _, t := range agentTimers {
		flag(w.satellite.alarms[t].after > 0)
	}
	w.keyV2(&b, flag)
	for i := range w.connections {
		n := &w.connections[i]
		b = w.keyConnectionV2(b, n)
		flag(n.controllerOpen, n.agentOpen, n.silent, n.controllerConn == c.conn && n.controllerLife == w.main.life,
			n.controllerLife == w.main.life, n.agentLife == w.satellite.life, slices.Contains(a.early, n.agentConn))
		b = append(b, n.toAgent...)
		b = append(b, '|')
		b = append(b, n.toController...)
		b = append(b, '|')
		b = append(b, n.unanswered...)
		b = append(b, '|')
	}
	return string(b)
}

// seen is one explored state: how it was reached and what follows without a further fault.
type seen struct {
	world  *world // nil once expanded
	parent int32
	choice int32
	next   []int32
	good   bool
}

type exploration struct {
	start  *world
	faults int
	states []seen
	broken int // index of the first state that breaks a rule, or -1
	rule   string
}

// explore walks every interleaving breadth first, so that the first broken rule has the shortest story.
func explore(start *world, faults int) *exploration {
	x := &exploration{start: start, faults: faults, broken: -1}
	index := map[string]int32{start.key(): 0}
	x.states = append(x.states, seen{world: start.clone(), parent: -1})
	for at := 0; at < len(x.states); at++ {
		w := x.states[at].world
		x.states[at].world = nil
		x.states[at].good = w.together()
		for n, choice := range w.choices(faults) {
			next := w.clone()
			if choice.fault {
				next.faults++
			}
			choice.apply(next)
			k := next.key()
			to, known := index[k]
			if !known {
				to = int32(len(x.states))
				index[k] = to
				x.states = append(x.states, seen{world: next, parent: int32(at), choice: int32(n)})
			}
			if !choice.fault {
				x.states[at].next = append(x.states[at].next, to)
			}
			if next.broken != "" {
				x.broken, x.rule = int(to), next.broken
				if known {
					// The state itself is old: the step into it is not.
					x.states = append(x.states, seen{parent: int32(at), choice: int32(n)})
					x.broken = len(x.states) - 1
				}
				return x
			}
		}
	}
	x.findLost()
	return x
}

// findLost looks for a state from which, without a further fault, no way leads to both boards working together.
func (x *exploration) findLost() {
	before := make([][]int32, len(x.states))
	var queue []int32
	ok := make([]bool, len(x.states))
	for i, s := range x.states {
		for _, to := range s.next {
			before[to] = append(before[to], int32(i))
		}
		if s.good {
			ok[i] = true
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, from := range before[at] {
			if !ok[from] {
				ok[from] = true
				queue = append(queue, from)
			}
		}
	}
	if i := slices.Index(ok, false); i >= 0 {
		x.broken, x.rule = i, lost
	}
}

// replay repeats the way to a state and returns its world and its story.
func (x *exploration) replay(to int) (*world, string) {
	var path []int32
	for at := int32(to); x.states[at].parent >= 0; at = x.states[at].parent {
		path = append(path, x.states[at].choice)
	}
	slices.Reverse(path)
	var story strings.Builder
	w := x.start.clone()
	w.log = func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		fmt.Fprintln(&story, "  "+strings.TrimPrefix(strings.TrimSpace(text), "0.000s  "))
	}
	for _, n := range path {
		choice := w.choices(x.faults)[n]
		if choice.what != "" {
			fmt.Fprintln(&story, choice.what)
		}
		if choice.fault {
			w.faults++
		}
		choice.apply(w)
	}
	return w, story.String()
}

func (x *exploration) story() string {
	_, story := x.replay(x.broken)
	return story + "BROKEN: " + x.rule + "\n"
}

func newWorld(hasSystem bool) *world {
	return &world{agentConfig: AgentConfig{HasSystem: hasSystem}}
}
