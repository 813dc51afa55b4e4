package handshake

import "strings"

// What can happen in a world: messages arrive, timers run out, boards become ready, connections break.

// deliverToAgent hands the oldest message of a connection to the satellite.
func (w *world) deliverToAgent(i int) {
	c := &w.connections[i]
	message := c.toAgent[0]
	c.toAgent = c.toAgent[1:]
	switch message {
	case dial:
		if !w.serving {
			c.sendToController(refused)
			return
		}
		w.accepted++
		c.agentConn, c.agentOpen, c.agentLife = w.accepted, true, w.satellite.life
		c.sendToController(accepted)
	case callHere:
		w.called(c, IAmHere)
	case callReady:
		w.called(c, IAmReady)
	case callExit:
		w.called(c, Exit)
	case callPoll:
		w.checkWork(c)
		c.sendToController(pollOK)
		w.stepAgent(Called{c.agentConn, Retrieve})
	case callProbe:
		if !w.working {
			c.sendToController(probeUnknown)
			break
		}
		c.sendToController(probeOK)
		w.stepAgent(Called{c.agentConn, Retrieve})
	case callFirmware:
		w.checkWork(c)
		c.sendToController(firmOK)
		w.stepAgent(FirmwareAccepted{})
	case callReset:
		w.checkWork(c)
		c.sendToController(resetOK)
		w.resetting = w.agentConfig.HasSystem
		w.stepAgent(ResetForwarded{c.agentConn})
	case callHello, callEvents, callCommand:
		w.agentGetsV2(c, message)
	case eof:
		c.agentOpen, c.held, c.commands = false, false, ""
		w.stepAgent(Disconnected{c.agentConn})
	}
	w.sweep()
}

func (w *world) called(c *connection, function Function) {
	c.unanswered += string(rune(calls[function]))
	w.stepAgent(Called{c.agentConn, function})
}

// checkWork is the first promise: a work function is called only by the controller that this agent agreed with, and
// only once both know it.
func (w *world) checkWork(c *connection) {
	if !w.working || !w.satellite.init || w.satellite.partner != c.controllerLife {
		w.breaks("a work function reaches an agent that has not agreed with its caller")
	}
}

// deliverToController hands the oldest message of a connection to the main board.
func (w *world) deliverToController(i int) {
	c := &w.connections[i]
	message, conn := c.toController[0], c.controllerConn
	c.toController = c.toController[1:]
	switch message {
	case accepted:
		w.stepController(Connected{conn})
	case refused:
		c.controllerOpen = false
		w.stepController(ConnectFailed{conn, true})
	case known:
		w.stepController(Replied{conn, IAmHere, true})
	case fresh:
		w.stepController(Replied{conn, IAmHere, false})
	case readyOK:
		w.main.partner = c.agentLife
		w.stepController(Replied{Conn: conn, Function: IAmReady})
		if w.main.init && w.main.partner != c.agentLife {
			w.breaks("the controller agrees with a second agent")
		}
	case pollOK:
		w.stepController(Replied{Conn: conn, Function: Retrieve})
	case probeOK:
		w.stepController(Replied{Conn: conn, Function: Retrieve})
	case probeUnknown:
		w.stepController(CallFailed{Conn: conn, Function: Retrieve, Unknown: true})
	case exitOK:
		w.stepController(Replied{Conn: conn, Function: Exit})
	case helloKnown, helloUnknown, helloMissing, eventsOK, eventsRefused, commandOK, commandRefused:
		w.controllerGetsV2(c, message)
	case firmOK:
		w.stepController(FirmwareAccepted{})
	case eof:
		c.controllerOpen = false
		w.stepController(Disconnected{conn})
	}
	w.sweep()
}

func (w *world) fireAgent(timer Timer) {
	w.satellite.alarms[timer] = alarm{}
	if timer == pollTimer {
		w.heartbeat()
		return
	}
	w.stepAgent(TimerFired{timer})
}

func (w *world) fireController(timer Timer) {
	w.main.alarms[timer] = alarm{}
	if timer == resumeTimer {
		for i := range w.connections {
			w.connections[i].lapsed = w.connections[i].lapsed || w.connections[i].aging
		}
	}
	w.stepController(TimerFired{timer})
}

func (w *world) agentReady() {
	w.satellite.ready = true
	w.stepAgent(BoardReady{})
}

func (w *world) controllerReady() {
	w.main.ready = true
	w.stepController(BoardReady{})
}

// passOn sends a work command that concerns the protocol.
func (w *world) passOn(message byte) {
	if !w.main.init {
		w.breaks("the controller calls a work function before the agreement")
	}
	if c := w.ofController(w.controller.conn); c != nil {
		c.sendToAgent(message)
	}
}

// cut ends a connection for both sides; what was on its way is lost.
func (w *world) cut(i int) {
	c := &w.connections[i]
	c.toAgent, c.toController, c.silent = "", "", true
	if c.agentOpen {
		c.toAgent = string(rune(eof))
	}
	if c.controllerOpen {
		c.toController = string(rune(eof))
	}
}

// stall makes a connection silent; what was on its way is lost.
func (w *world) stall(i int) {
	c := &w.connections[i]
	c.toAgent, c.toController, c.silent = "", "", true
	w.sweep()
}

// together is what everything must lead to: both boards ready, agreed with each other in their present lives, over a
// connection that works.
func (w *world) together() bool {
	if !w.satellite.ready || !w.main.ready || w.resetting ||
		w.agent.State() != Working || w.controller.State() != Working ||
		w.satellite.partner != w.main.life || w.main.partner != w.satellite.life ||
		w.satellite.alarms[heartbeatTimer] == (alarm{}) || !w.caughtUp() {
		return false
	}
	c := w.ofController(w.controller.conn)
	return c != nil && c.agentOpen && !c.silent && !strings.ContainsAny(c.toController+c.toAgent, ".z")
}
