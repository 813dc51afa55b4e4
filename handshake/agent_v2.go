package handshake

import "slices"

// What an agent does besides when it speaks v2: doc/link-v2.md.

// greeted answers link_hello. A controller that was met already takes the link
// over to its new session.
func (a *Agent) greeted(e Greeted) []Action {
	if !a.serving() || a.config.Dialects == OnlyLegacy {
		return nil
	}
	a.greetings = append(a.greetingsWithout(e.Session), e)
	known := a.controllerKnown() && a.dialect == V2 && a.peer.is(e.Peer)
	var actions []Action
	if known {
		actions = a.take(e.Session)
	}
	return append(actions, Answer{Session: e.Session, Function: Hello, Known: known})
}

// meetAgain answers a repeated i_am_here of the controller that was met: it
// did not get the answer. Once both have agreed it is a call that was late.
func (a *Agent) meetAgain(session Session) []Action {
	if a.state != Met {
		if session == a.link {
			return a.knownAlready(session)
		}
		return []Action{DropSession{session}}
	}
	return append(a.take(session), Answer{Session: session, Function: IAmHere})
}

// take makes the session the peer's link.
func (a *Agent) take(session Session) []Action {
	var actions []Action
	if a.away() {
		actions = append(actions, StopTimer{ResumeTimer})
	}
	if a.link != 0 && a.link != session {
		actions = append(actions, DropSession{a.link})
	}
	a.link = session
	if a.agreed() {
		actions = append(actions, a.watch())
	}
	return actions
}

func (a *Agent) sessionEnded(session Session) []Action {
	a.early = without(a.early, session)
	a.greetings = a.greetingsWithout(session)
	if session != a.link || a.dialect != V2 {
		return nil
	}
	return a.goAway(ConnectionLost)
}

// silent drops a link on which nothing was called for too long.
func (a *Agent) silent() []Action {
	if !a.agreed() || a.link == 0 {
		return nil
	}
	drop := DropSession{a.link}
	return append([]Action{drop}, a.goAway(PeerSilent)...)
}

// goAway begins the window in which the controller may come back.
func (a *Agent) goAway(why Reason) []Action {
	a.link = 0
	if !a.agreed() {
		return nil
	}
	a.reason = why
	return []Action{StopTimer{SilenceTimer}, StartTimer{ResumeTimer, a.peer.Window}}
}

// windowOver restarts the board of a controller that did not come back, unless
// an update is under way.
func (a *Agent) windowOver() []Action {
	switch {
	case !a.away():
		return nil
	case a.firmware:
		return []Action{StartTimer{ResumeTimer, a.peer.Window}}
	}
	return append([]Action{StopServer{}}, a.reset(PeerSilent)...)
}

func (a *Agent) greeting(session Session) (Greeted, bool) {
	i := slices.IndexFunc(a.greetings, func(g Greeted) bool { return g.Session == session })
	if i < 0 {
		return Greeted{}, false
	}
	return a.greetings[i], true
}

func (a *Agent) greetingsWithout(session Session) []Greeted {
	return slices.DeleteFunc(slices.Clone(a.greetings), func(g Greeted) bool { return g.Session == session })
}

// isPeer tells whether the session is one of the controller that was met in v2.
func (a *Agent) isPeer(session Session) bool {
	greeting, ok := a.greeting(session)
	return ok && a.dialect == V2 && a.peer.is(greeting.Peer)
}

func (a *Agent) agreed() bool { return a.state == Agreed || a.state == Working }

func (a *Agent) away() bool { return a.agreed() && a.dialect == V2 && a.link == 0 }
