package handshake

import (
	"maps"
	"slices"
	"strings"
)

// What v2 adds to the world: events that the satellite makes and commands that the main board asks for, carried by the
// pure cores that the modules use.

// Messages of v2. A call of link_hello carries the epoch, one of link_events three numbers, its answer a count and the
// numbers of events; a command its number and the floor, its answer the number.
const (
	callHello, helloKnown, helloUnknown, helloMissing = 'l', 'K', 'U', 'M'
	callEvents, eventsOK, eventsRefused               = 'e', 'E', 'Q'
	callCommand, commandOK, commandRefused            = 'c', 'C', 'D'
)

// v2data is what both boards hold beyond their machines.
type v2data struct {
	// events and commands bound what is made; 0 makes none.
	events, commands int

	// The satellite: journal has the numbers that are not published, running the commands under way, executed those
	// ever begun.
	made     byte
	journal  string
	ledger   Ledger[byte]
	running  string
	executed string

	// The main board: last is the last event published, asked are the commands without an answer, denied those that were
	// answered negatively because the port is out of service.
	inbox         Inbox
	last          byte
	numbers       Sequence
	asked, denied string
	established   bool
}

func (d *v2data) clone() {
	d.ledger.entries = maps.Clone(d.ledger.entries)
	d.numbers.open = maps.Clone(d.numbers.open)
}

func (d *v2data) forgetSatellite() {
	d.made, d.journal, d.running, d.executed, d.denied, d.ledger = 0, "", "", "", "", Ledger[byte]{}
}

func (d *v2data) forgetMain() {
	d.inbox, d.last, d.numbers, d.asked, d.denied, d.established = Inbox{}, 0, Sequence{}, "", "", false
}

// deny answers every command negatively that waits for the link.
func (d *v2data) deny() {
	for i := range len(d.asked) {
		d.numbers.Done(uint64(d.asked[i]))
	}
	d.denied, d.asked = d.denied+d.asked, ""
}

func (w *world) agentSpeaksV2() bool { return w.agentConfig.Dialects != OnlyLegacy }

// agentGets handles a message of v2 to the agent.
func (w *world) agentGetsV2(c *connection, message byte) {
	switch message {
	case callHello:
		epoch := c.pop()
		if !w.agentSpeaksV2() {
			c.sendToController(helloMissing)
			return
		}
		c.unanswered += string(rune(callHello))
		w.stepAgent(HelloCalled{c.agentConn, Peer{
			InstanceID: uint64(c.controllerLife), Epoch: uint64(epoch),
			HeartbeatTimeout: w.controller.config.HeartbeatTimeout, KeepLink: w.controller.config.KeepLink(),
		}})
	case callEvents:
		after, published, floor := c.pop(), c.pop(), c.pop()
		if w.agent.Conn() != c.agentConn {
			c.sendToController(eventsRefused)
			return
		}
		w.checkWork(c)
		w.v2.journal = above(w.v2.journal, published)
		w.v2.ledger.Acknowledge(uint64(floor))
		c.held, c.after = true, after
		w.satellite.start(w.now, StartTimer{pollTimer, w.agent.peer.HeartbeatTimeout / 3})
		w.stepAgent(Called{c.agentConn, Events})
		w.push()
	case callCommand:
		number, floor := c.pop(), c.pop()
		if w.agent.Conn() != c.agentConn {
			c.sendToController(commandRefused)
			c.sendToController(number)
			return
		}
		if c.lapsed {
			return
		}
		w.checkWork(c)
		w.v2.ledger.Acknowledge(uint64(floor))
		w.begin(c, number)
	}
}

func (w *world) begin(c *connection, number byte) {
	switch _, verdict := w.v2.ledger.Begin(uint64(number)); verdict {
	case Execute:
		if strings.IndexByte(w.v2.executed, number) >= 0 {
			w.breaks("a command is executed twice")
		}
		if strings.IndexByte(w.v2.denied, number) >= 0 {
			w.breaks("a command is executed after its negative answer")
		}
		w.v2.executed += string([]byte{number})
		w.v2.running += string([]byte{number})
		c.commands += string([]byte{number})
	case Running:
		c.commands += string([]byte{number})
	case Finished:
		c.sendToController(commandOK)
		c.sendToController(number)
	}
}

// carryOut ends the oldest command under way on the satellite.
func (w *world) carryOut() {
	number := w.v2.running[0]
	w.v2.running = w.v2.running[1:]
	w.v2.ledger.Finish(uint64(number), number, 1)
	for i := range w.connections {
		c := &w.connections[i]
		if at := strings.IndexByte(c.commands, number); at >= 0 {
			c.commands = c.commands[:at] + c.commands[at+1:]
			if c.agentOpen {
				c.sendToController(commandOK)
				c.sendToController(number)
			}
		}
	}
}

// publish makes an event on the satellite.
func (w *world) publish() {
	w.v2.made++
	w.v2.journal += string([]byte{w.v2.made})
	w.push()
}

// push replies to the open call of link_events if there is an event to send.
func (w *world) push() {
	if c := w.holding(); c != nil {
		if waiting := above(w.v2.journal, c.after); waiting != "" {
			w.answerEvents(c, waiting)
		}
	}
}

func (w *world) heartbeat() {
	if c := w.holding(); c != nil {
		w.answerEvents(c, "")
	}
}

func (w *world) answerEvents(c *connection, numbers string) {
	c.held = false
	c.sendToController(eventsOK)
	c.sendToController(byte(len(numbers)))
	for i := range len(numbers) {
		c.sendToController(numbers[i])
	}
	w.satellite.alarms[pollTimer] = alarm{}
}

func (w *world) holding() *connection {
	return w.find(func(c *connection) bool { return c.agentOpen && c.held && c.agentConn == w.agent.Conn() })
}

// controllerGetsV2 handles a message of v2 to the controller.
func (w *world) controllerGetsV2(c *connection, message byte) {
	conn := c.controllerConn
	switch message {
	case helloKnown, helloUnknown:
		if message == helloKnown && conn == w.controller.conn && w.controller.Doubtful() {
			c.probing = true
			w.callEvents(c)
			return
		}
		w.stepController(HelloReplied{conn, uint64(c.agentLife), message == helloKnown})
	case helloMissing:
		w.stepController(CallFailed{Conn: conn, Function: Hello})
	case eventsOK:
		for range c.popController() {
			w.arrive(c.popController())
		}
		if c.probing {
			c.probing = false
			w.stepController(HelloReplied{conn, uint64(c.agentLife), true})
			return
		}
		w.stepController(Replied{Conn: conn, Function: Events})
		if c := w.ofController(conn); c != nil && w.v2.established {
			w.callEvents(c)
		}
	case eventsRefused:
		if c.probing {
			w.stepController(Disconnected{conn})
			return
		}
		w.stepController(CallFailed{Conn: conn, Function: Events})
	case commandOK:
		number := c.popController()
		w.v2.asked = strings.ReplaceAll(w.v2.asked, string([]byte{number}), "")
		w.v2.numbers.Done(uint64(number))
	case commandRefused:
		c.popController()
	}
}

// arrive checks the promise of v2: every event once, in order.
func (w *world) arrive(number byte) {
	if !w.v2.inbox.Accept(uint64(number)) {
		return
	}
	if number != w.v2.last+1 {
		w.breaks("an event is lost or comes twice")
	}
	w.v2.last = number
	w.v2.inbox.Published(uint64(number))
}

func (w *world) callEvents(c *connection) {
	received, published := w.v2.inbox.Position()
	c.sendToAgent(callEvents)
	c.sendToAgent(byte(received))
	c.sendToAgent(byte(published))
	c.sendToAgent(byte(w.v2.numbers.Floor()))
}

func (w *world) ask() {
	number := byte(w.v2.numbers.Next())
	w.v2.asked += string([]byte{number})
	if c := w.ofController(w.controller.conn); c != nil && w.controller.State() != Resuming {
		w.callCommand(c, number)
	}
}

func (w *world) callCommand(c *connection, number byte) {
	c.sendToAgent(callCommand)
	c.sendToAgent(number)
	c.sendToAgent(byte(w.v2.numbers.Floor()))
}

// controllerActionV2 carries out an action of v2, and reports whether it was one.
func (w *world) controllerActionV2(action Action) bool {
	switch a := action.(type) {
	case Establish:
		w.v2.forgetMain()
		w.v2.established = a.Dialect == V2
		if c := w.ofController(a.Conn); c != nil && w.v2.established {
			w.callEvents(c)
		}
	case Resume:
		if !w.v2.established {
			w.breaks("the controller resumes what it has not established")
		}
		if c := w.ofController(a.Conn); c != nil {
			w.callEvents(c)
			for i := range len(w.v2.asked) {
				w.callCommand(c, w.v2.asked[i])
			}
		}
	case Isolate:
		if !w.controllerConfig.isolates() && w.main.init {
			w.breaks("the controller isolates a port although that is not its policy")
		}
		w.v2.deny()
		if !w.controller.suspended { // the link is given up
			denied := w.v2.denied
			w.v2.forgetMain()
			w.v2.denied = denied
		}
	default:
		return false
	}
	return true
}

func (c *connection) pop() byte {
	message := c.toAgent[0]
	c.toAgent = c.toAgent[1:]
	return message
}

func (c *connection) popController() byte {
	message := c.toController[0]
	c.toController = c.toController[1:]
	return message
}

func above(numbers string, floor byte) string {
	at := strings.IndexFunc(numbers, func(r rune) bool { return byte(r) > floor })
	if at < 0 {
		return ""
	}
	return numbers[at:]
}

// choicesV2 are what happens in v2 without a fault.
func (w *world) choicesV2(add func(string, func(*world))) {
	if w.satellite.up && w.serving && int(w.v2.made) < w.v2.events {
		add("the satellite publishes an event", (*world).publish)
	}
	state := w.controller.State()
	if w.v2.established && int(w.v2.numbers.last) < w.v2.commands && state != Leaving && state != OutOfService && state != Parted {
		add("the main board asks for a command", (*world).ask)
	}
	if w.v2.running != "" {
		add("the satellite carries out a command", (*world).carryOut)
	}
}

// caughtUp is part of together: everything that was made has arrived.
func (w *world) caughtUp() bool {
	if w.controller.dialect == Legacy {
		return true
	}
	return w.v2.established && !w.controller.suspended && !w.controller.isolated && w.v2.last == w.v2.made && w.v2.asked == "" &&
		w.ofController(w.controller.conn).agentConn == w.agent.Conn()
}

// keyV2 adds the part of a state's name that only v2 has to b, as flag does.
func (w *world) keyV2(b *[]byte, flag func(...bool)) {
	a, c := &w.agent, &w.controller
	flag(a.dialect == V2, a.peer.is(Peer{InstanceID: uint64(w.main.life), Epoch: c.epoch}),
		a.peer.InstanceID == uint64(w.main.life), a.conn == 0, c.dialect == V2, c.suspended, c.isolated, c.initDone)
	flag(c.parted, c.installing, a.draining, c.windowOpen, c.overdue)
	received, published := w.v2.inbox.Position()
	flag(c.agent == uint64(w.satellite.life), w.v2.established, c.progress)
	*b = append(*b, byte(c.epoch), c.fruitless, c.stalled, w.v2.made, byte(received), byte(published), w.v2.last,
		byte(w.v2.numbers.last), byte(w.v2.numbers.Floor()), byte(w.v2.ledger.floor))
	for _, number := range slices.Sorted(maps.Keys(w.v2.ledger.entries)) {
		*b = append(*b, byte(number), map[bool]byte{true: 'f', false: 'r'}[w.v2.ledger.entries[number].finished])
	}
	for _, part := range []string{w.v2.journal, w.v2.running, w.v2.asked, w.v2.denied} {
		*b = append(*b, part...)
		*b = append(*b, '|')
	}
}

func (w *world) keyConnectionV2(b []byte, c *connection) []byte {
	hello, greeted := w.agent.hello(c.agentConn)
	var v byte
	for i, f := range []bool{
		c.agentConn == w.agent.conn, c.held, greeted, greeted && w.agent.peer.is(hello.Peer),
		greeted && hello.Peer.Epoch == w.controller.epoch, c.lapsed, c.probing, c.aging,
	} {
		if f {
			v |= 1 << i
		}
	}
	return append(append(b, v, c.after), c.commands...)
}
