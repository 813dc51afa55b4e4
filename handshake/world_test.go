package handshake

import (
	"fmt"
	"strings"
	"time"
)

// The tests run both machines in a small world: two boards whose processes can crash and come back, and TCP connections
// that keep order but can be cut or fall silent. Scripts drive it by a clock, the explorer by choice.

// Messages on a connection, one byte each: calls are lower case, their replies upper case except those of i_am_here.
const (
	dial, accepted, refused = 's', 'S', 'N'
	callHere, known, fresh  = 'h', 'T', 'F'
	callReady, readyOK      = 'r', 'R'
	callPoll, pollOK        = 'p', 'P'
	// A poll by which a controller finds out whether a legacy agent is the one that installs firmware.
	callProbe, probeOK, probeUnknown = 'j', 'J', 'G'
	callExit, exitOK                 = 'x', 'X'
	callFirmware, firmOK             = 'f', 'A'
	callReset, resetOK               = 'z', 'Z'
	eof                              = '.'
)

var calls = map[Function]byte{IAmHere: callHere, IAmReady: callReady, Retrieve: callPoll, Exit: callExit, Hello: callHello}

// connection has an end at each board. An end that is not open neither sends nor receives any more. A silent connection
// carries nothing, and neither end notices.
type connection struct {
	controllerConn            ConnID
	agentConn                 ConnID
	controllerLife, agentLife int
	controllerOpen, agentOpen bool
	toAgent, toController     string
	silent                    bool
	// unanswered are the calls that wait for a Reply of the agent.
	unanswered string
	// held: a call of link_events after that number waits. commands wait for their results.
	held     bool
	after    byte
	commands string
	// probing: link_hello was answered, and the first answer of link_events is awaited before the machine hears of that.
	probing bool
	// aging: the controller's end was closed when resumeTimer was started. lapsed: the agent's Lease of this connection has
	// ended. By the clock that is before a resumeTimer fires that was started after the end.
	aging, lapsed bool
}

type alarm struct {
	after, due time.Duration
}

// board is what both boards have besides their machine.
type board struct {
	up    bool
	life  int
	init  bool // the module's init has ended
	ready bool
	// partner is the life of the peer that this one agreed with.
	partner int
	alarms  [resetTimer + 1]alarm
}

type world struct {
	agentConfig      AgentConfig
	controllerConfig ControllerConfig

	now         time.Duration
	agent       Agent
	controller  Controller
	satellite   board
	main        board
	serving     bool // the agent's port is open
	working     bool // the agent's work functions are registered
	resetting   bool // the satellite's system was asked for a reset
	blackHole   bool // new connections get no answer
	connections []connection
	accepted    ConnID
	faults      int
	v2          v2data
	broken      string // the first broken rule
	// twist changes what the agent does, to show that the checks see it.
	twist func(*world, Event, []Action) []Action
	log   func(format string, args ...any)
}

func (w *world) clone() *world {
	c := *w
	c.v2.clone()
	c.connections = append(make([]connection, 0, len(w.connections)+1), w.connections...)
	return &c
}

func (w *world) note(format string, args ...any) {
	if w.log != nil {
		w.log(format, args...)
	}
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

func (w *world) startAgent() {
	w.satellite = board{up: true, life: w.satellite.life + 1}
	w.agent = *NewAgent(w.agentConfig)
	w.stepAgent(Start{})
}

func (w *world) startController() {
	w.main = board{up: true, life: w.main.life + 1}
	w.controller = *NewController(w.controllerConfig)
	w.stepController(Start{})
}

// endAgent ends the process: the kernel closes what it had open.
func (w *world) endAgent() {
	w.satellite = board{life: w.satellite.life}
	w.agent = Agent{}
	w.closeServer()
	w.working, w.resetting = false, false
	w.v2.forgetSatellite()
}

func (w *world) endController() {
	w.main = board{life: w.main.life}
	w.controller = Controller{}
	w.v2.forgetMain()
	for i := range w.connections {
		w.closeControllerEnd(&w.connections[i])
	}
	w.sweep()
}

func (w *world) closeServer() {
	w.serving = false
	for i := range w.connections {
		w.closeAgentEnd(&w.connections[i])
	}
	w.sweep()
}

func (w *world) closeAgentEnd(c *connection) {
	if c.agentOpen {
		c.agentOpen, c.toAgent, c.unanswered = false, "", ""
		c.held, c.commands = false, ""
		c.sendToController(eof)
	}
}

func (w *world) closeControllerEnd(c *connection) {
	if c.controllerOpen {
		c.controllerOpen, c.toController = false, ""
		if c.toAgent == string(rune(dial)) {
			c.toAgent = ""
		}
		c.sendToAgent(eof)
	}
}

func (c *connection) sendToAgent(message byte) {
	if !c.silent && (c.agentOpen || message == dial) {
		c.toAgent += string(rune(message))
	}
}

func (c *connection) sendToController(message byte) {
	if !c.silent && c.controllerOpen {
		c.toController += string(rune(message))
	}
}

// sweep removes connections on which nothing can happen any more.
func (w *world) sweep() {
	kept := w.connections[:0]
	for _, c := range w.connections {
		if c.controllerOpen || c.agentOpen && (!c.silent || c.toAgent != "") {
			kept = append(kept, c)
		}
	}
	w.connections = kept
	if w.holding() == nil {
		w.satellite.alarms[pollTimer] = alarm{}
	}
}

func (w *world) find(match func(*connection) bool) *connection {
	for i := range w.connections {
		if match(&w.connections[i]) {
			return &w.connections[i]
		}
	}
	return nil
}

func (w *world) ofController(conn ConnID) *connection {
	return w.find(func(c *connection) bool {
		return c.controllerConn == conn && c.controllerLife == w.main.life && c.controllerOpen
	})
}

func (w *world) ofAgent(conn ConnID) *connection {
	return w.find(func(c *connection) bool { return c.agentConn == conn && c.agentOpen })
}

// stepAgent sends the agent an event and carries out its actions.
func (w *world) stepAgent(event Event) {
	if !w.satellite.up {
		return
	}
	before := w.agent.State()
	actions := w.agent.Step(event)
	if w.twist != nil {
		actions = w.twist(w, event, actions)
	}
	w.note("%s", line(w.now, "agent", event, actions, before, w.agent.State()))
	for _, action := range actions {
		w.agentAction(action)
	}
	w.sweep()
}

func (w *world) agentAction(action Action) {
	switch a := action.(type) {
	case StartTimer:
		w.satellite.start(w.now, a)
	case StopTimer:
		w.satellite.alarms[a.Timer] = alarm{}
	case OpenServer:
		w.serving = true
	case RegisterWork:
		w.working = true
	case Reply:
		w.answer(a)
	case InitDone:
		if w.satellite.init {
			w.breaks("the agent's init ends twice")
		}
		w.satellite.init = true
	case CloseNow:
		if c := w.ofAgent(a.Conn); c != nil {
			w.closeAgentEnd(c)
		}
	case CloseAfterReply:
		if c := w.ofAgent(a.Conn); c != nil {
			w.closeAgentEnd(c)
		}
	case StopServer:
		w.closeServer()
	case ResetSystem:
		if !w.agentConfig.HasSystem {
			w.breaks("the agent asks a system for a reset that it does not have")
		}
		if w.agent.firmware {
			w.breaks("the agent resets a board that is being updated")
		}
		w.resetting = true
	case ExitProcess:
		w.endAgent()
	default:
		w.breaks("the agent has no action %v", action)
	}
}

func (w *world) answer(a Reply) {
	c := w.ofAgent(a.Conn)
	if c == nil {
		return // a stranger of a script
	}
	call := string(rune(calls[a.Function]))
	if !strings.Contains(c.unanswered, call) {
		w.breaks("the agent answers %v, which nobody called", a.Function)
	}
	c.unanswered = strings.Replace(c.unanswered, call, "", 1)
	switch a.Function {
	case IAmHere:
		if a.Known {
			c.sendToController(known)
		} else {
			c.sendToController(fresh)
		}
	case IAmReady:
		if w.satellite.partner == 0 {
			w.satellite.partner = c.controllerLife
		}
		if w.satellite.partner != c.controllerLife {
			w.breaks("the agent agrees with a second controller")
		}
		c.sendToController(readyOK)
	case Exit:
		c.sendToController(exitOK)
	case Hello:
		if a.Known {
			c.sendToController(helloKnown)
		} else {
			c.sendToController(helloUnknown)
		}
	}
}

// stepController sends the controller an event and carries out its actions.
func (w *world) stepController(event Event) {
	if !w.main.up {
		return
	}
	before := w.controller.State()
	actions := w.controller.Step(event)
	w.note("%s", line(w.now, "controller", event, actions, before, w.controller.State()))
	for _, action := range actions {
		w.controllerAction(action)
	}
	if w.controller.State() == Parted {
		w.v2.deny()
	}
	w.sweep()
}

func (w *world) controllerAction(action Action) {
	if w.controllerActionV2(action) {
		return
	}
	switch a := action.(type) {
	case StartTimer:
		w.main.start(w.now, a)
		for i := range w.connections {
			if a.Timer == resumeTimer {
				w.connections[i].aging = !w.connections[i].controllerOpen
			}
		}
	case StopTimer:
		w.main.alarms[a.Timer] = alarm{}
	case Connect:
		c := connection{controllerConn: a.Conn, controllerLife: w.main.life, controllerOpen: true, silent: w.blackHole}
		c.sendToAgent(dial)
		w.connections = append(w.connections, c)
	case Disconnect:
		if c := w.ofController(a.Conn); c != nil {
			w.closeControllerEnd(c)
		}
	case Call:
		c := w.ofController(a.Conn)
		if c == nil {
			w.breaks("the controller calls %v on a connection that it has closed", a.Function)
			return
		}
		if a.Function == Retrieve && w.controller.State() != Agreed && w.controller.State() != Working {
			if !w.controller.installing {
				w.breaks("the controller calls a work function before the agreement")
			}
			c.sendToAgent(callProbe)
			return
		}
		c.sendToAgent(calls[a.Function])
		if a.Function == Hello {
			c.sendToAgent(byte(w.controller.epoch))
		}
	case InitDone:
		if w.main.init {
			w.breaks("the controller's init ends twice")
		}
		w.main.init = true
	case ExitProcess:
		w.endController()
	default:
		w.breaks("the controller has no action %v", action)
	}
}

func (b *board) start(now time.Duration, a StartTimer) {
	b.alarms[a.Timer] = alarm{a.After, now + a.After}
}

// text returns an event or an action as a story shows it.
func text(v any) string {
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T%+v", v, v), "handshake."), "{}")
}

func line(now time.Duration, who string, event Event, actions []Action, before, after State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8s  %-10s  %s", fmt.Sprintf("%.3fs", now.Seconds()), who, text(event))
	if after != before {
		fmt.Fprintf(&b, " => %v", after)
	}
	for i, action := range actions {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		b.WriteString(text(action))
	}
	return b.String()
}
