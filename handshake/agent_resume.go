package handshake

import "slices"

// This file is what an agent does for a v2 controller, doc/link-v2.md.

// helloCalled replies to link_hello. A controller that was met already moves the link to its new connection.
func (a *Agent) helloCalled(e HelloCalled) []Action {
	if !a.serving() || a.config.Dialects == OnlyLegacy {
		return nil
	}
	a.hellos = append(a.hellosWithout(e.Conn), e)
	known := a.controllerKnown() && a.dialect == V2 && a.peer.is(e.Peer)
	var actions []Action
	if known {
		actions = a.take(e.Conn)
	}
	return append(actions, Reply{Conn: e.Conn, Function: Hello, Known: known})
}

// meetAgain replies to a repeated i_am_here of the controller that was met: it did not get the reply. Once both have
// agreed the call is a late one.
func (a *Agent) meetAgain(conn ConnID) []Action {
	if a.state != Met {
		if conn == a.conn {
			return a.knownAlready(conn)
		}
		return []Action{CloseNow{conn}}
	}
	return append(a.take(conn), Reply{Conn: conn, Function: IAmHere})
}

// take makes the connection the peer's.
func (a *Agent) take(conn ConnID) []Action {
	var actions []Action
	if a.away() {
		a.held = 0
		actions = append(actions, StopTimer{resumeTimer}, StartTimer{drainTimer, a.config.DrainTime})
	}
	if a.conn != 0 && a.conn != conn {
		actions = append(actions, CloseNow{a.conn})
	}
	a.conn = conn
	if a.agreed() {
		actions = append(actions, a.awaitHeartbeat())
	}
	return actions
}

func (a *Agent) disconnected(conn ConnID) []Action {
	a.early = without(a.early, conn)
	a.hellos = a.hellosWithout(conn)
	if conn != a.conn || a.dialect != V2 {
		return nil
	}
	return a.awaitResume(ConnectionLost)
}

// heartbeatMissed closes a connection on which nothing was called for too long.
func (a *Agent) heartbeatMissed() []Action {
	if !a.agreed() || a.conn == 0 {
		return nil
	}
	closing := CloseNow{a.conn}
	return append([]Action{closing}, a.awaitResume(HeartbeatTimeout)...)
}

// awaitResume begins the time for which the agent keeps the link. A journal that overflows meanwhile drops its oldest
// events: a restart of the board would lose all of them.
func (a *Agent) awaitResume(reason Reason) []Action {
	a.conn = 0
	if !a.agreed() {
		return nil
	}
	a.reason, a.draining = reason, true
	return []Action{StopTimer{heartbeatTimer}, StartTimer{resumeTimer, a.peer.KeepLink}}
}

// keptLongEnough restarts the board because the controller did not come back. With an update in progress that waits.
func (a *Agent) keptLongEnough() []Action {
	switch {
	case !a.away():
		return nil
	case a.firmware:
		a.held = HeartbeatTimeout
		return nil
	}
	return a.restart(HeartbeatTimeout)
}

// away reports whether the agent waits for its controller to resume the link.
func (a *Agent) away() bool { return a.agreed() && a.dialect == V2 && a.conn == 0 }

// isPeer reports whether the controller that was met in v2 owns the connection.
func (a *Agent) isPeer(conn ConnID) bool {
	hello, ok := a.hello(conn)
	return ok && a.dialect == V2 && a.peer.is(hello.Peer)
}

func (a *Agent) hello(conn ConnID) (HelloCalled, bool) {
	i := slices.IndexFunc(a.hellos, func(h HelloCalled) bool { return h.Conn == conn })
	if i < 0 {
		return HelloCalled{}, false
	}
	return a.hellos[i], true
}

func (a *Agent) hellosWithout(conn ConnID) []HelloCalled {
	return slices.DeleteFunc(slices.Clone(a.hellos), func(h HelloCalled) bool { return h.Conn == conn })
}
