package handshake

import "time"

// What a controller does besides when it speaks v2: doc/link-v2.md.

// connected asks for v2 first, unless that is forbidden.
func (c *Controller) connected() []Action {
	if c.config.Dialects == OnlyLegacy {
		return c.announce()
	}
	c.state = Greeting
	return c.call(Hello, CallTimer, c.callTimeout())
}

func (c *Controller) announce() []Action {
	c.state = Announcing
	return c.call(IAmHere, CallTimer, c.callTimeout())
}

// welcomed goes on where the agent stands: with one that has met this session
// already only the agreement may be missing.
func (c *Controller) welcomed(e Welcomed) []Action {
	if c.suspended {
		if !e.Known || e.Agent != c.agent {
			return c.giveUp(PeerRestarted)
		}
		return c.resume()
	}
	c.dialect, c.agent = V2, e.Agent
	if !e.Known {
		return c.announce()
	}
	c.state = Agreeing
	return c.call(IAmReady, CallTimer, c.callTimeout())
}

// notUnderstood is the answer of a legacy agent to link_hello.
func (c *Controller) notUnderstood() []Action {
	switch {
	case c.suspended:
		return c.giveUp(PeerRestarted)
	case c.config.Dialects == OnlyV2:
		return c.pause()
	}
	c.dialect = Legacy
	return c.announce()
}

// agree ends the start: i_am_ready was answered.
func (c *Controller) agree() []Action {
	c.state = Agreed
	actions := []Action{StopTimer{CallTimer}}
	if c.config.OnLoss == Isolated {
		actions = append(actions, StopTimer{HoldTimer})
	}
	if c.dialect == V2 || c.initDone {
		actions = append(actions, Join{c.link, c.dialect})
	}
	if !c.initDone {
		c.initDone = true
		actions = append(actions, InitDone{})
	}
	c.isolated, c.progress = false, false
	if c.dialect == V2 {
		actions = append(actions, StartTimer{AnswerTimer, c.config.Silence})
	}
	if c.boardReady {
		return append(actions, c.work()...)
	}
	if c.dialect == Legacy {
		actions = append(actions, c.nextPoll())
	}
	return actions
}

// suspend tries to get a lost connection back.
func (c *Controller) suspend(why Reason) []Action {
	c.suspended, c.why = true, why
	actions := []Action{StopTimer{AnswerTimer}, Disconnect{c.link}, StartTimer{ResumeTimer, c.config.Window}}
	return append(actions, c.connect()...)
}

// refused tries again, except that a satellite which was told to reset and does
// not listen any more is on its way down.
func (c *Controller) refused() []Action {
	if c.suspended && c.reset {
		return c.giveUp(c.why)
	}
	return c.pause()
}

func (c *Controller) resume() []Action {
	c.suspended, c.progress = false, false
	actions := []Action{
		StopTimer{CallTimer}, StopTimer{ResumeTimer}, Resume{c.link}, StartTimer{AnswerTimer, c.config.Silence},
	}
	c.state = Agreed
	if c.boardReady {
		actions = append(actions, c.work()...)
	}
	return actions
}

// maxFruitless bounds the pause before the next attempt at an agent that
// agrees and then hands nothing over: Retry doubles up to 64 times itself.
const maxFruitless = 7

// giveUp follows the policy: the peer that was agreed with is lost for good.
func (c *Controller) giveUp(reason Reason) []Action {
	c.suspended, c.why = false, reason
	stop := []Action{StopTimer{CallTimer}, StopTimer{RetryTimer}, StopTimer{ResumeTimer}, StopTimer{ExpectTimer}}
	switch {
	case c.config.OnLoss == Isolated:
		c.isolated, c.firmware, c.reset = true, false, false
		c.session++
		if c.fruitless > 0 {
			return append(append(stop, Isolate{reason}), c.pause()...)
		}
		actions := append(stop, Disconnect{c.link}, Isolate{reason})
		return append(actions, c.connect()...)
	case c.DisconnectExpected():
		return append(stop, c.part()...)
	}
	return append(stop, c.end(1, reason)...)
}

// part goes on without a peer whose end was expected, for this board is about
// to restart.
func (c *Controller) part() []Action {
	c.state = Parted
	return []Action{
		StopTimer{PollTimer}, StopTimer{AnswerTimer}, StopTimer{ExpectTimer},
		Disconnect{c.link}, StartTimer{AbsenceTimer, c.config.Absence},
	}
}

// hold bounds how long the station waits for an absent satellite.
func (c *Controller) hold() []Action {
	if c.config.OnLoss != Isolated {
		return nil
	}
	return []Action{StartTimer{HoldTimer, c.config.Hold}}
}

// holdNoLonger lets the station start without this port.
func (c *Controller) holdNoLonger() []Action {
	switch c.state {
	case Connecting, Pausing, Greeting, Announcing, Agreeing:
		if !c.initDone {
			c.initDone, c.isolated, c.why = true, true, PeerAbsent
			return []Action{Isolate{PeerAbsent}, InitDone{}}
		}
	}
	return nil
}

// callTimeout is shorter while a link is resumed: an attempt that began in a
// broken network must not outlast it.
func (c *Controller) callTimeout() time.Duration {
	if c.suspended {
		return min(c.config.CallTimeout, c.config.Silence)
	}
	return c.config.CallTimeout
}
