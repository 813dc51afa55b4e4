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
		c.reason = reason
		return c.part()
	}
	return c.end(1, reason)
}

// maxStalled is how many connections in a row may be lost without a reply to Events before the peer counts as lost.
// With the default times that takes as long as the resume window, which each resume begins anew.
const maxStalled = 20

// suspend begins to resume a v2 link that lost its connection.
func (c *Controller) suspend(reason Reason) []Action {
	if !c.progress {
		if c.stalled++; c.stalled >= maxStalled {
			return c.giveUpFruitless(reason)
		}
	}
	c.suspended, c.reason = true, reason
	actions := []Action{StopTimer{replyTimer}, Disconnect{c.conn}, StartTimer{resumeTimer, c.config.ResumeWindow}}
	return append(actions, c.connect()...)
}

func (c *Controller) resume() []Action {
	c.suspended, c.progress = false, false
	actions := []Action{
		StopTimer{callTimer}, StopTimer{resumeTimer}, Resume{c.conn}, StartTimer{replyTimer, c.config.HeartbeatTimeout},
	}
	c.state = Agreed
	if c.boardReady {
		actions = append(actions, c.work()...)
	}
	return actions
}

// maxFruitless bounds the pause before the next connection to an agent that agrees and then sends no events: Retry
// doubles up to 64 times its value.
const maxFruitless = 7

// giveUpFruitless gives an agent up that agreed, and then sent no events.
func (c *Controller) giveUpFruitless(reason Reason) []Action {
	c.fruitless, c.stalled = min(c.fruitless+1, maxFruitless), 0
	return append([]Action{StopTimer{replyTimer}}, c.giveUp(reason)...)
}

// giveUp follows the loss policy: the peer that was agreed with is lost for good.
func (c *Controller) giveUp(reason Reason) []Action {
	c.suspended, c.reason = false, reason
	stop := []Action{StopTimer{callTimer}, StopTimer{retryTimer}, StopTimer{resumeTimer}, StopTimer{resetWindowTimer}}
	switch {
	case c.config.LossPolicy == IsolateOnLoss:
		c.isolated, c.firmware, c.reset = true, false, false
		c.epoch++
		if c.fruitless > 0 {
			return append(append(stop, Isolate{reason}), c.pause()...)
		}
		actions := append(stop, Disconnect{c.conn}, Isolate{reason})
		return append(actions, c.connect()...)
	case c.lossExpected():
		return append(stop, c.part()...)
	}
	return append(stop, c.end(1, reason)...)
}

// part continues without a peer whose loss was expected, because this board is about to restart.
func (c *Controller) part() []Action {
	c.state = Parted
	return []Action{
		StopTimer{pollTimer}, StopTimer{replyTimer}, StopTimer{resetWindowTimer},
		Disconnect{c.conn}, StartTimer{absenceTimer, c.config.Absence},
	}
}
