package handshake

// This file is what a controller does when its link is lost: it resumes the link, isolates the port, waits for the own
// board's restart, or ends the process.

func (c *Controller) lost(reason Reason) []Action {
	switch {
	case c.connecting():
		return c.pause()
	case c.state == Leaving:
		return c.end(0, Stopped)
	case !c.agreed():
		return nil
	case c.dialect == V2:
		return c.suspend(reason)
	case c.lossExpected():
		c.reason, c.installing = reason, c.firmware && !c.reset
		return c.reconnect(c.part())
	}
	return c.end(1, reason)
}

// maxStalled and maxStalledOut bound the pause before the next connection of a link without progress. ResumeRetry
// doubles up to 16 times its value within the window, and Retry up to 8 times while the port is out of service.
const maxStalled, maxStalledOut = 5, 4

// suspend begins to resume a v2 link that lost its connection. Where that had no progress the next one would probably
// end the same way, so it waits.
func (c *Controller) suspend(reason Reason) []Action {
	c.suspended, c.reason = true, reason
	actions := []Action{StopTimer{replyTimer}, Disconnect{c.conn}}
	switch {
	case !c.windowOpen:
		c.windowOpen = true
		actions = append(actions, StartTimer{resumeTimer, c.config.ResumeWindow})
	case c.overdue:
		actions = append(actions, StartTimer{resumeTimer, c.config.HeartbeatTimeout})
	}
	if !c.progress {
		c.stall()
		return append(actions, c.pause()...)
	}
	return append(actions, c.connect()...)
}

func (c *Controller) stall() { c.stalled = min(c.stalled+1, maxStalled) }

// resume continues the link on a new connection, also long after its window. The window goes on until there is progress.
func (c *Controller) resume() []Action {
	actions := []Action{StopTimer{callTimer}, Resume{c.conn}, StartTimer{replyTimer, c.config.HeartbeatTimeout}}
	if c.parted {
		actions = append(actions, StopTimer{absenceTimer})
	}
	c.suspended, c.isolated, c.parted, c.progress = false, false, false, false
	c.state = Agreed
	if c.boardReady {
		actions = append(actions, c.work()...)
	}
	return actions
}

// windowPassed ends the window. The agent may still begin commands of a connection that was resumed within it, until the
// agent's [Lease] has ended: they must not get their negative answer before.
func (c *Controller) windowPassed() []Action {
	switch {
	case c.agreed() && c.dialect == V2:
		c.overdue = true
		return nil
	case !c.resuming():
		return nil
	case c.stalled > 0 && !c.overdue:
		c.overdue = true
		return []Action{StartTimer{resumeTimer, c.config.HeartbeatTimeout}}
	}
	c.windowOpen, c.overdue = false, false
	return c.windowOver()
}

// windowOver follows the loss policy: the link had no progress within the window, on however many connections. The
// peer's process may live: the controller continues to ask for the link unless it ends.
func (c *Controller) windowOver() []Action {
	switch {
	case c.config.isolates():
		c.isolated = true
		return []Action{Isolate{c.reason}}
	case c.lossExpected():
		return c.part()
	}
	return c.end(1, c.reason)
}

// maxFruitless bounds the pause before the next connection to an agent that agrees and then sends no events: Retry
// doubles up to 64 times its value.
const maxFruitless = 7

// giveUpFruitless gives an agent up that agreed, and then sent no events.
func (c *Controller) giveUpFruitless(reason Reason) []Action {
	c.fruitless = min(c.fruitless+1, maxFruitless)
	return append([]Action{StopTimer{replyTimer}}, c.giveUp(reason)...)
}

// giveUp follows the loss policy: the link that was agreed is lost for good.
func (c *Controller) giveUp(reason Reason) []Action {
	actions := []Action{StopTimer{callTimer}, StopTimer{retryTimer}, StopTimer{resumeTimer}, StopTimer{resetWindowTimer}}
	c.suspended, c.stalled, c.windowOpen, c.overdue, c.reason = false, 0, false, false, reason
	switch {
	case c.config.isolates():
		c.firmware, c.reset = false, false
		if !c.isolated {
			c.isolated = true
			actions = append(actions, Isolate{reason})
		}
	case c.lossExpected():
		actions = append(actions, c.part()...)
	default:
		return append(actions, c.end(1, reason)...)
	}
	c.epoch++
	if c.fruitless > 0 {
		return append(actions, c.pause()...)
	}
	return c.reconnect(actions)
}

// part continues without a peer whose loss was expected. This board is about to restart, or the peer comes back.
func (c *Controller) part() []Action {
	if c.parted {
		return nil
	}
	c.parted = true
	return []Action{
		StopTimer{pollTimer}, StopTimer{replyTimer}, StopTimer{resetWindowTimer}, StartTimer{absenceTimer, c.config.Absence},
	}
}

// reconnect replaces the connection after other actions.
func (c *Controller) reconnect(after []Action) []Action {
	return append(append(after, Disconnect{c.conn}), c.connect()...)
}
