package handshake

import "slices"

// Agent is the machine of the satellite board, which serves. It is not safe for concurrent use. The zero value is not
// usable; see [NewAgent].
type Agent struct {
	config AgentConfig
	state  State
	// early are the connections on which i_am_ready was called before any i_am_here: calls that were sent together may
	// be seen in either order. The slice is replaced, never changed, so that a copy of an Agent is independent.
	early      []ConnID
	boardReady bool
	// firmware: an update was accepted, so losing the controller is expected.
	firmware bool
	// held is why the board is to be restarted when the update has ended or the shell allows it, 0 for no such reason.
	held Reason
	// asking: the shell was asked for the reset, and has not answered or is to be asked again.
	asking bool
	// resetAsked: this agent has asked its system for the reset it waits for.
	resetAsked bool
	// draining: the controller is away, or came back so recently that a full journal is no sign of its loss.
	draining bool
	// reason is why the link was lost last, or why the board restarts.
	reason Reason

	dialect Dialect
	// peer is the controller that was met in v2. conn is its connection, 0 while it has none.
	peer Peer
	conn ConnID
	// hellos are the calls of link_hello by connection; replaced, never changed.
	hellos []HelloCalled
}

// NewAgent returns an agent in state [Idle].
func NewAgent(config AgentConfig) *Agent {
	return &Agent{config: config.withDefaults()}
}

// State returns the agent's state.
func (a *Agent) State() State {
	if a.away() {
		return Resuming
	}
	return a.state
}

// Dialect returns the dialect of the accepted controller. It returns Legacy until the agent has accepted a controller's
// i_am_here.
func (a *Agent) Dialect() Dialect { return a.dialect }

// Conn returns the connection of a v2 link, or 0 while there is none. V2's work functions may be called only on this
// connection.
func (a *Agent) Conn() ConnID {
	if a.agreed() {
		return a.conn
	}
	return 0
}

// Peer returns the accepted v2 controller. It returns the zero Peer until the agent has accepted a v2 controller's
// i_am_here.
func (a *Agent) Peer() Peer { return a.peer }

// Reason returns the latest reason for a lost link, a restart of the board or the end of the process. It returns 0 if
// there was none.
func (a *Agent) Reason() Reason { return a.reason }

// Step takes one event and returns what the shell has to do, in order.
func (a *Agent) Step(event Event) []Action {
	if a.state == Ended {
		return nil
	}
	switch e := event.(type) {
	case Start:
		if a.state == Idle {
			a.state = Waiting
			return []Action{OpenServer{}}
		}
	case Called:
		return a.called(e)
	case HelloCalled:
		return a.helloCalled(e)
	case Disconnected:
		return a.disconnected(e.Conn)
	case BoardReady:
		a.boardReady = true
		if a.state == Agreed {
			return a.work()
		}
	case FirmwareAccepted:
		a.firmware = true
	case FirmwareEnded:
		return a.firmwareEnded()
	case ResetForwarded:
		if a.serving() && a.config.HasSystem {
			return append(a.leave(e.Conn, ResetRequested), a.waitForReset())
		}
	case JournalFull:
		if a.controllerKnown() && !a.firmware && !a.draining {
			return a.restart(JournalOverflow)
		}
	case ResetAnswered:
		return a.resetAnswered(e)
	case ResetRefused:
		if a.state == Resetting {
			return a.end(1, ResetFailed)
		}
	case TimerFired:
		return a.fired(e.Timer)
	case Stop:
		return a.stop()
	}
	return nil
}

func (a *Agent) called(e Called) []Action {
	if !a.serving() {
		return nil
	}
	switch e.Function {
	case IAmHere:
		switch {
		case !a.controllerKnown():
			return a.meet(e.Conn)
		case a.isPeer(e.Conn):
			return a.meetAgain(e.Conn)
		}
		return a.knownAlready(e.Conn)
	case IAmReady:
		return a.agree(e.Conn)
	case Retrieve:
		if a.state == Working && a.dialect == Legacy {
			a.heard()
			return []Action{a.awaitHeartbeat()}
		}
	case Events:
		if a.agreed() && a.dialect == V2 && e.Conn == a.conn {
			a.heard()
			return []Action{a.awaitHeartbeat()}
		}
	case Exit:
		if a.holds() {
			return a.hold(Reply{Conn: e.Conn, Function: Exit}, PeerLeft)
		}
		actions := append([]Action{Reply{Conn: e.Conn, Function: Exit}}, a.leave(e.Conn, PeerLeft)...)
		return append(actions, StartTimer{resetDelayTimer, a.config.ResetDelay})
	}
	return nil
}

// meet accepts the first controller. The work functions exist before the reply, hence no call of them can come too
// early.
func (a *Agent) meet(conn ConnID) []Action {
	a.state, a.held = Met, 0
	if hello, ok := a.hello(conn); ok {
		a.dialect, a.peer, a.conn = V2, hello.Peer, conn
	}
	actions := []Action{RegisterWork{}, Reply{Conn: conn, Function: IAmHere}}
	return append(actions, a.agreeEarly()...)
}

// agreeEarly replies to the calls of i_am_ready that came first.
func (a *Agent) agreeEarly() (actions []Action) {
	early := a.early
	a.early = nil
	for _, conn := range early {
		actions = append(actions, a.agree(conn)...)
	}
	return actions
}

// agree replies to i_am_ready; only the first reply ends init.
func (a *Agent) agree(conn ConnID) []Action {
	switch a.state {
	case Waiting:
		a.early = append(without(a.early, conn), conn)
		return a.awaitIAmHere(conn)
	case Met:
		if a.dialect == V2 && !a.isPeer(conn) {
			break // a stranger's call changes nothing
		}
		a.state = Agreed
		actions := []Action{Reply{Conn: conn, Function: IAmReady}, InitDone{}}
		if a.dialect == V2 {
			actions = append(actions, a.take(conn)...)
		}
		if a.boardReady {
			actions = append(actions, a.work()...)
		}
		return actions
	}
	return []Action{Reply{Conn: conn, Function: IAmReady}}
}

// awaitIAmHere gives the controller of a connection time for its i_am_here, unless that must come.
func (a *Agent) awaitIAmHere(conn ConnID) []Action {
	if _, v2 := a.hello(conn); v2 || a.config.Dialects == OnlyV2 {
		return nil
	}
	return []Action{StartTimer{oneStepTimer, a.config.OneStepWait}}
}

// meetInOneStep accepts a controller that has called i_am_ready alone, as those of 2024.3 do.
func (a *Agent) meetInOneStep() []Action {
	if a.state != Waiting || len(a.early) == 0 {
		return nil
	}
	a.state, a.held = Met, 0
	return append([]Action{RegisterWork{}}, a.agreeEarly()...)
}

// knownAlready replies to a controller that this agent cannot serve: it started with another one, or with an earlier
// process of this one. Only a restart of both makes them agree.
func (a *Agent) knownAlready(conn ConnID) []Action {
	reply := Reply{Conn: conn, Function: IAmHere, Known: true}
	if a.holds() {
		return a.hold(reply, PeerRestarted)
	}
	actions := append([]Action{reply}, a.leave(conn, PeerRestarted)...)
	return append(actions, StartTimer{resetDelayTimer, a.config.ResetDelay})
}

func (a *Agent) fired(timer Timer) []Action {
	switch timer {
	case heartbeatTimer:
		if a.dialect == V2 {
			return a.heartbeatMissed()
		}
		if a.state != Working {
			return nil
		}
		if a.firmware {
			return []Action{a.awaitHeartbeat()}
		}
		if a.holds() {
			return append(a.restart(HeartbeatTimeout), a.awaitHeartbeat())
		}
		return a.restart(HeartbeatTimeout)
	case resumeTimer:
		return a.keptLongEnough()
	case drainTimer:
		a.draining = a.away()
	case oneStepTimer:
		return a.meetInOneStep()
	case askTimer:
		return a.askAgain()
	case resetDelayTimer:
		if a.state == Resetting && !a.resetAsked {
			return a.reset(a.reason)
		}
	case resetTimer:
		switch {
		case a.state != Resetting:
			return nil
		case a.resetAsked:
			return a.end(1, ResetFailed)
		}
		return a.reset(a.reason)
	}
	return nil
}

// leave ends the connection and the server after the reply.
func (a *Agent) leave(conn ConnID, reason Reason) []Action {
	a.state, a.reason = Resetting, reason
	actions := []Action{StopTimer{heartbeatTimer}}
	if a.dialect == V2 {
		actions = append(actions, StopTimer{resumeTimer})
	}
	return append(actions, CloseAfterReply{conn}, StopServer{})
}

// reset restarts the board by its system or, without one, by ending the process. A board that is being updated goes
// down by itself, or is restarted when the update has ended.
func (a *Agent) reset(reason Reason) []Action {
	if a.firmware && a.config.HasSystem {
		a.state, a.reason = Resetting, reason
		return []Action{a.waitForReset()}
	}
	if !a.config.HasSystem {
		return a.end(1, reason)
	}
	a.state, a.reason, a.resetAsked = Resetting, reason, true
	return []Action{ResetSystem{reason}, a.waitForReset()}
}

func (a *Agent) stop() []Action {
	if a.serving() {
		return append([]Action{StopServer{}}, a.end(0, Stopped)...)
	}
	return a.end(0, Stopped)
}

func (a *Agent) end(status int, reason Reason) []Action {
	a.state, a.reason = Ended, reason
	return []Action{ExitProcess{status, reason}}
}

func (a *Agent) work() []Action {
	a.state = Working
	if a.dialect == V2 {
		return nil
	}
	return []Action{a.awaitHeartbeat()}
}

func (a *Agent) awaitHeartbeat() Action {
	if a.dialect == V2 {
		return StartTimer{heartbeatTimer, a.peer.HeartbeatTimeout}
	}
	return StartTimer{heartbeatTimer, a.config.HeartbeatTimeout}
}

func (a *Agent) waitForReset() Action { return StartTimer{resetTimer, a.config.ResetTimeout} }

func (a *Agent) serving() bool { return a.state == Waiting || a.controllerKnown() }

func (a *Agent) controllerKnown() bool { return a.state == Met || a.agreed() }

func (a *Agent) agreed() bool { return a.state == Agreed || a.state == Working }

func without(conns []ConnID, conn ConnID) []ConnID {
	return slices.DeleteFunc(slices.Clone(conns), func(c ConnID) bool { return c == conn })
}
