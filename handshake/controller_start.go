package handshake

import "time"

// This file is a controller's way from no connection to the agreement.

func (c *Controller) connect() []Action {
	c.state = Connecting
	c.conn++
	return []Action{Connect{c.conn}, StartTimer{callTimer, c.callTimeout()}}
}

// connected asks for v2 first, unless that is not to be spoken.
func (c *Controller) connected() []Action {
	if c.config.Dialects == OnlyLegacy {
		return c.announce()
	}
	c.state = Greeting
	return c.call(Hello, callTimer, c.callTimeout())
}

// connectFailed tries again. A refused connection shows that no agent's process listens. A satellite that was asked to
// reset is then about to restart: its link is not resumed.
func (c *Controller) connectFailed(refused bool) []Action {
	if refused {
		c.installing = false
	}
	if c.suspended && c.reset && refused {
		return c.giveUp(c.reason)
	}
	return c.pause()
}

func (c *Controller) pause() []Action {
	c.state = Pausing
	retry, stalled := c.config.Retry, min(c.stalled, maxStalledOut)
	if c.resuming() {
		retry, stalled = c.config.ResumeRetry, c.stalled
	}
	retry <<= max(c.fruitless, stalled, 1) - 1
	return []Action{StopTimer{callTimer}, Disconnect{c.conn}, StartTimer{retryTimer, retry}}
}

// callOverdue handles a connection on which a call of the start takes too long.
func (c *Controller) callOverdue() []Action {
	switch {
	case !c.connecting():
		return nil
	case c.state == Greeting && c.suspended:
		c.stall()
		return c.pause()
	}
	actions := []Action{Disconnect{c.conn}} // before connect increments it
	return append(actions, c.connect()...)
}

// callTimeout is shorter while a link is resumed: an attempt that began in a broken network must not last until the
// window is over.
func (c *Controller) callTimeout() time.Duration {
	if c.resuming() {
		return min(c.config.CallTimeout, c.config.HeartbeatTimeout)
	}
	return c.config.CallTimeout
}

// resuming reports whether the window to resume the link is open.
func (c *Controller) resuming() bool { return c.suspended && !c.isolated && !c.parted }

// helloReplied continues from the agent's state. With an agent that has met this epoch already only the agreement may
// be missing.
func (c *Controller) helloReplied(e HelloReplied) []Action {
	if c.suspended {
		if !e.Known || e.InstanceID != c.agent {
			return c.giveUp(PeerRestarted)
		}
		return c.resume()
	}
	c.dialect, c.agent = V2, e.InstanceID
	if !e.Known {
		return c.announce()
	}
	c.state = Agreeing
	return c.call(IAmReady, callTimer, c.callTimeout())
}

// helloUnknown handles a legacy agent, which has no link_hello.
func (c *Controller) helloUnknown() []Action {
	switch {
	case c.suspended:
		return c.giveUp(PeerRestarted)
	case c.config.Dialects == OnlyV2:
		return c.pause()
	}
	c.dialect = Legacy
	return c.announce()
}

// announce calls i_am_here. Where the process of a legacy agent may be the one that installs firmware, it calls Retrieve
// before: an agent that no controller has met yet does not have that function.
func (c *Controller) announce() []Action {
	c.state = Announcing
	if c.installing && c.dialect == Legacy {
		return c.call(Retrieve, callTimer, c.callTimeout())
	}
	return c.call(IAmHere, callTimer, c.callTimeout())
}

// agree ends the start: i_am_ready was replied to.
func (c *Controller) agree() []Action {
	c.state, c.polling = Agreed, false
	actions := []Action{StopTimer{callTimer}}
	if c.config.InitTimeout > 0 {
		actions = append(actions, StopTimer{initTimer})
	}
	if c.parted {
		actions = append(actions, StopTimer{absenceTimer})
	}
	if c.dialect == V2 || c.initDone {
		actions = append(actions, Establish{c.conn, c.dialect})
	}
	if !c.initDone {
		c.initDone = true
		actions = append(actions, InitDone{})
	}
	c.isolated, c.parted, c.installing, c.progress, c.firmware, c.reset = false, false, false, false, false, false
	if c.dialect == V2 {
		actions = append(actions, StartTimer{replyTimer, c.config.HeartbeatTimeout})
	}
	if c.boardReady {
		return append(actions, c.work()...)
	}
	if c.dialect == Legacy {
		actions = append(actions, c.nextPoll())
	}
	return actions
}

// limitInit bounds how long the station waits for an absent satellite.
func (c *Controller) limitInit() []Action {
	if c.config.InitTimeout <= 0 {
		return nil
	}
	return []Action{StartTimer{initTimer, c.config.InitTimeout}}
}

// startWithoutPeer lets the station start without this port.
func (c *Controller) startWithoutPeer() []Action {
	if !c.starting() || c.initDone {
		return nil
	}
	c.initDone, c.isolated, c.reason = true, true, PeerAbsent
	return []Action{Isolate{PeerAbsent}, InitDone{}}
}
