package handshake

import "time"

// This file is what an agent does while its board must not be reset: an update of the board runs, or the shell has not
// allowed the reset.

// Held returns why the board is to be restarted when its update has ended, or when the shell allows it. It returns 0
// without such a reason. A controller that the agent cannot serve waits until then.
func (a *Agent) Held() Reason { return a.held }

// holds reports whether a reset waits.
func (a *Agent) holds() bool { return a.firmware || a.config.AsksReset }

// hold replies to a call that restarts the board, and closes its connection. The restart waits for the end of the update,
// or for the shell.
func (a *Agent) hold(reply Reply, reason Reason) []Action {
	a.held = reason
	actions := []Action{reply, CloseAfterReply{reply.Conn}}
	if a.dialect == V2 && reply.Conn == a.conn {
		actions = append(actions, a.awaitResume(reason)...)
	}
	return append(actions, a.ask()...)
}

// restart restarts the board at once, or when the shell allows it.
func (a *Agent) restart(reason Reason) []Action {
	if !a.config.AsksReset {
		return append([]Action{StopServer{}}, a.reset(reason)...)
	}
	a.held = reason
	return a.ask()
}

// ask asks the shell for the reset that is held. While an update runs, it is asked at the update's end.
func (a *Agent) ask() []Action {
	if !a.config.AsksReset || a.firmware || a.asking {
		return nil
	}
	a.asking = true
	return []Action{AskReset{a.held}}
}

// askAgain asks for a reset that was not allowed, unless its reason is gone. A v2 controller that is connected shows that
// the link still stands.
func (a *Agent) askAgain() []Action {
	a.asking = false
	if a.Conn() != 0 && a.held != JournalOverflow {
		a.held = 0
	}
	if a.held == 0 || !a.serving() {
		return nil
	}
	return a.ask()
}

func (a *Agent) resetAnswered(e ResetAnswered) []Action {
	switch {
	case !a.asking || !a.serving():
		return nil
	case a.held == 0:
		a.asking = false // the reason is gone
		return nil
	case !e.Allowed && !e.Taken:
		return []Action{StartTimer{askTimer, max(e.Again, time.Second)}}
	}
	a.asking = false
	switch {
	case e.Taken:
		a.state, a.reason, a.resetAsked = Resetting, a.held, true
		return []Action{StopServer{}, a.waitForReset()}
	case a.firmware:
		return nil // asked again at the update's end
	}
	held := a.held
	a.held = 0
	return append([]Action{StopServer{}}, a.reset(held)...)
}

// heard follows a sign of life of the controller.
func (a *Agent) heard() {
	if a.config.AsksReset && a.held == HeartbeatTimeout {
		a.held = 0
	}
}

// firmwareEnded restarts the board if that has waited for the end of the update.
func (a *Agent) firmwareEnded() []Action {
	a.firmware = false
	if a.config.AsksReset && a.held != 0 && a.serving() {
		return a.ask()
	}
	return a.restartHeld()
}

// restartHeld restarts the board for what was held. A v2 controller that is connected shows that the link still stands.
func (a *Agent) restartHeld() []Action {
	held := a.held
	a.held = 0
	if held == 0 || !a.serving() || a.Conn() != 0 {
		return nil
	}
	return append([]Action{StopServer{}}, a.reset(held)...)
}
