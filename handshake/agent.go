package handshake

import "slices"

// Agent is the satellite board's side: it serves. It is not safe for
// concurrent use. The zero value is not usable; see [NewAgent].
type Agent struct {
	config AgentConfig
	state  State
	// early are the sessions that called i_am_ready before anybody called
	// i_am_here: calls that were sent in one go may be seen in either order.
	// The slice is replaced, never changed, so that a copy of an Agent is
	// independent.
	early      []Session
	boardReady bool
	// firmware: an update was accepted, so losing the controller is no fault.
	firmware bool
	// asked: this agent has asked its system for the reset it waits for.
	asked bool
	// reason is why the link was lost last, or why the board restarts.
	reason Reason

	dialect Dialect
	// peer is who was met in v2, link the session on which that peer is, 0
	// while it is away.
	peer Peer
	link Session
	// greetings are the sessions that greeted; replaced, never changed.
	greetings []Greeted
}

// NewAgent returns an agent in state [Idle].
func NewAgent(config AgentConfig) *Agent {
	return &Agent{config: config.withDefaults()}
}

// State returns where the agent stands.
func (a *Agent) State() State {
	if a.away() {
		return Resuming
	}
	return a.state
}

// Dialect returns what is spoken with the controller that was met.
func (a *Agent) Dialect() Dialect { return a.dialect }

// Link returns the session on which v2's work functions may be called: that of
// the controller that was agreed with, 0 while there is none.
func (a *Agent) Link() Session {
	if a.agreed() {
		return a.link
	}
	return 0
}

// Peer returns who was met in v2.
func (a *Agent) Peer() Peer { return a.peer }

// DisconnectExpected tells whether a lost controller is taken as part of an
// update or of a good-bye.
func (a *Agent) DisconnectExpected() bool { return a.firmware || a.state == Resetting }

// Reason returns why the link was lost last, or why the board restarts or the
// process ends; 0 before any of it.
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
	case Greeted:
		return a.greeted(e)
	case SessionEnded:
		return a.sessionEnded(e.Session)
	case BoardReady:
		a.boardReady = true
		if a.state == Agreed {
			return a.work()
		}
	case FirmwareAccepted:
		a.firmware = true
	case FirmwareFailed:
		a.firmware = false
	case ResetPassedOn:
		if a.serving() && a.config.HasSystem {
			return append(a.leave(e.Session, ResetRequested), a.wait())
		}
	case JournalFull:
		if a.controllerKnown() && !a.firmware {
			return append([]Action{StopServer{}}, a.reset(JournalOverflow)...)
		}
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
			return a.meet(e.Session)
		case a.isPeer(e.Session):
			return a.meetAgain(e.Session)
		}
		return a.knownAlready(e.Session)
	case IAmReady:
		return a.agree(e.Session)
	case Retrieve:
		if a.state == Working && a.dialect == Legacy {
			return []Action{a.watch()}
		}
	case Events:
		if a.agreed() && a.dialect == V2 && e.Session == a.link {
			return []Action{a.watch()}
		}
	case Exit:
		actions := append([]Action{Answer{Session: e.Session, Function: Exit}}, a.leave(e.Session, PeerLeft)...)
		return append(actions, StartTimer{ResetTimer, a.config.ResetDelay})
	}
	return nil
}

// meet lets the first controller in. The work functions exist before it is
// told so, hence no call of it can come too early.
func (a *Agent) meet(session Session) []Action {
	a.state = Met
	if greeting, ok := a.greeting(session); ok {
		a.dialect, a.peer, a.link = V2, greeting.Peer, session
	}
	actions := []Action{RegisterWork{}, Answer{Session: session, Function: IAmHere}}
	early := a.early
	a.early = nil
	for _, s := range early {
		actions = append(actions, a.agree(s)...)
	}
	return actions
}

// agree answers i_am_ready; only the first answer ends init.
func (a *Agent) agree(session Session) []Action {
	switch a.state {
	case Waiting:
		a.early = append(without(a.early, session), session)
		return nil
	case Met:
		if a.dialect == V2 && !a.isPeer(session) {
			break // a stranger's call changes nothing
		}
		a.state = Agreed
		actions := []Action{Answer{Session: session, Function: IAmReady}, InitDone{}}
		if a.dialect == V2 {
			actions = append(actions, a.take(session)...)
		}
		if a.boardReady {
			actions = append(actions, a.work()...)
		}
		return actions
	}
	return []Action{Answer{Session: session, Function: IAmReady}}
}

// knownAlready answers a controller that this agent cannot serve: it was
// started with another one, or with an earlier life of this one, and only a
// fresh start of both makes them agree.
func (a *Agent) knownAlready(session Session) []Action {
	actions := append([]Action{Answer{Session: session, Function: IAmHere, Known: true}}, a.leave(session, PeerRestarted)...)
	if !a.config.HasSystem {
		return append(actions, a.wait())
	}
	return append(actions, StartTimer{ResetTimer, a.config.ResetDelay})
}

func (a *Agent) fired(timer Timer) []Action {
	switch timer {
	case SilenceTimer:
		if a.dialect == V2 {
			return a.silent()
		}
		if a.state != Working {
			return nil
		}
		if a.firmware {
			return []Action{a.watch()}
		}
		return append([]Action{StopServer{}}, a.reset(PeerSilent)...)
	case ResumeTimer:
		return a.windowOver()
	case ResetTimer:
		if a.state == Resetting && !a.asked {
			return a.reset(a.reason)
		}
	case PatienceTimer:
		switch {
		case a.state != Resetting:
			return nil
		case a.asked:
			return a.end(1, ResetFailed)
		}
		return a.reset(a.reason)
	}
	return nil
}

// leave ends the session and the server after the answer.
func (a *Agent) leave(session Session, reason Reason) []Action {
	a.state, a.reason = Resetting, reason
	actions := []Action{StopTimer{SilenceTimer}}
	if a.dialect == V2 {
		actions = append(actions, StopTimer{ResumeTimer})
	}
	return append(actions, CloseSession{session}, StopServer{})
}

// reset restarts the board by its system or, without one, by ending the process.
func (a *Agent) reset(reason Reason) []Action {
	if !a.config.HasSystem {
		return a.end(1, reason)
	}
	a.state, a.reason, a.asked = Resetting, reason, true
	return []Action{ResetSystem{reason}, a.wait()}
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
	return []Action{a.watch()}
}

func (a *Agent) watch() Action {
	if a.dialect == V2 {
		return StartTimer{SilenceTimer, a.peer.Silence}
	}
	return StartTimer{SilenceTimer, a.config.Silence}
}

func (a *Agent) wait() Action { return StartTimer{PatienceTimer, a.config.Patience} }

func (a *Agent) serving() bool { return a.state == Waiting || a.controllerKnown() }

func (a *Agent) controllerKnown() bool {
	return a.state == Met || a.state == Agreed || a.state == Working
}

func without(sessions []Session, session Session) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return s == session })
}
