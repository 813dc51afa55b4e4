package handshake

import "time"

// Controller is the main board's side: it connects and calls. It is not safe
// for concurrent use. The zero value is not usable; see [NewController].
type Controller struct {
	config     ControllerConfig
	state      State
	link       Link
	boardReady bool
	// polling: a poll is unanswered.
	polling bool
	// firmware and reset: why losing the agent would be no fault.
	firmware, reset bool

	dialect Dialect
	// session counts the agreements that v2 tries, agent is who answers.
	session, agent uint64
	// suspended: agreed in v2, without a connection. isolated: the port is out
	// of service. initDone: InitDone was given.
	suspended, isolated, initDone bool
	// progress: link_events was answered on this connection. fruitless counts
	// the agreements in a row that were given up without that.
	progress  bool
	fruitless uint8
	// why the link was lost last, or why the process ends.
	why Reason
}

// NewController returns a controller in state [Idle].
func NewController(config ControllerConfig) *Controller {
	return &Controller{config: config.withDefaults(), session: 1}
}

// State returns where the controller stands.
func (c *Controller) State() State {
	switch c.state {
	case Connecting, Pausing, Greeting, Announcing, Agreeing:
		switch {
		case c.suspended:
			return Resuming
		case c.isolated:
			return OutOfService
		}
	}
	return c.state
}

// Dialect returns what is spoken on the latest connection, as far as it is
// known.
func (c *Controller) Dialect() Dialect { return c.dialect }

// Session returns the number of the agreement that v2 keeps or tries.
func (c *Controller) Session() uint64 { return c.session }

// Link returns the number of the latest connection, 0 before the first.
func (c *Controller) Link() Link { return c.link }

// DisconnectExpected tells whether a lost agent is taken as part of an update
// or of a reset.
func (c *Controller) DisconnectExpected() bool { return c.firmware || c.reset }

// Reason returns why the link was lost last, or why the process ends; 0 before
// either.
func (c *Controller) Reason() Reason { return c.why }

// Step takes one event and returns what the shell has to do, in order.
func (c *Controller) Step(event Event) []Action {
	if c.state == Ended {
		return nil
	}
	switch e := event.(type) {
	case Start:
		if c.state == Idle {
			return append(c.connect(), c.hold()...)
		}
	case Connected:
		if e.Link == c.link && c.state == Connecting {
			return c.connected()
		}
	case Welcomed:
		if e.Link == c.link && c.state == Greeting {
			return c.welcomed(e)
		}
	case ConnectFailed:
		if e.Link == c.link && c.state == Connecting {
			return c.refused()
		}
	case Answered:
		if e.Link == c.link {
			return c.answered(e)
		}
	case CallFailed:
		if e.Link == c.link {
			return c.failed(e.Function)
		}
	case LinkLost:
		if e.Link == c.link {
			return c.lost(ConnectionLost)
		}
	case BoardReady:
		c.boardReady = true
		if c.state == Agreed {
			return c.work()
		}
	case FirmwareAccepted:
		c.firmware = true
	case FirmwareFailed:
		c.firmware = false
	case ResetPassedOn:
		if c.state == Agreed || c.state == Working {
			c.reset = true
			return []Action{StartTimer{ExpectTimer, c.config.ResetWindow}}
		}
	case TimerFired:
		return c.fired(e.Timer)
	case Stop:
		return c.stop()
	}
	return nil
}

func (c *Controller) answered(e Answered) []Action {
	switch {
	case e.Function == IAmHere && c.state == Announcing:
		if e.Known {
			return c.pause()
		}
		c.state = Agreeing
		return c.call(IAmReady, CallTimer, c.config.CallTimeout)
	case e.Function == IAmReady && c.state == Agreeing:
		return c.agree()
	case e.Function == Events && c.dialect == V2:
		if c.state == Agreed || c.state == Working {
			c.progress, c.fruitless = true, 0
			return []Action{StartTimer{AnswerTimer, c.config.Silence}}
		}
	case e.Function == Retrieve && c.polling:
		c.polling = false
		if c.state == Agreed || c.state == Working {
			return []Action{StopTimer{AnswerTimer}, c.nextPoll()}
		}
	case e.Function == Exit && c.state == Leaving:
		return c.end(0, Stopped)
	}
	return nil
}

// failed handles an error in place of an answer. During the start the peer
// may be something else than an agent, or one that is going down: ask again.
func (c *Controller) failed(function Function) []Action {
	switch {
	case function == IAmHere && c.state == Announcing, function == IAmReady && c.state == Agreeing:
		return c.pause()
	case function == Hello && c.state == Greeting:
		return c.notUnderstood()
	case function == Events && c.dialect == V2 && (c.state == Agreed || c.state == Working):
		if c.progress {
			return c.lost(CallRefused)
		}
		// Another connection to an agent that hands nothing over would end the same way.
		c.fruitless = min(c.fruitless+1, maxFruitless)
		return append([]Action{StopTimer{AnswerTimer}}, c.giveUp(CallRefused)...)
	case function == Retrieve && (c.state == Agreed || c.state == Working):
		return c.lost(CallRefused)
	case function == Exit && c.state == Leaving:
		return c.end(0, Stopped)
	}
	return nil
}

func (c *Controller) lost(reason Reason) []Action {
	switch c.state {
	case Connecting, Greeting, Announcing, Agreeing:
		return c.pause()
	case Agreed, Working:
		if c.dialect == V2 {
			return c.suspend(reason)
		}
		if !c.DisconnectExpected() {
			return c.end(1, reason)
		}
		c.why = reason
		return c.part()
	case Leaving:
		return c.end(0, Stopped)
	}
	return nil
}

func (c *Controller) fired(timer Timer) []Action {
	switch timer {
	case CallTimer:
		switch c.state {
		case Connecting, Greeting, Announcing, Agreeing:
			actions := []Action{Disconnect{c.link}} // before connect counts on
			return append(actions, c.connect()...)
		}
	case RetryTimer:
		if c.state == Pausing {
			return c.connect()
		}
	case PollTimer:
		if (c.state == Agreed || c.state == Working) && !c.polling {
			c.polling = true
			return c.call(Retrieve, AnswerTimer, c.config.AnswerTimeout)
		}
	case AnswerTimer:
		if c.state == Agreed || c.state == Working {
			return c.lost(PeerSilent)
		}
	case ExpectTimer:
		c.reset = c.reset && c.state == Parted
	case ResumeTimer:
		if c.suspended {
			return c.giveUp(c.why)
		}
	case HoldTimer:
		return c.holdNoLonger()
	case AbsenceTimer:
		if c.state == Parted {
			return c.end(1, PeerAbsent)
		}
	case GoodbyeTimer:
		if c.state == Leaving {
			return c.end(0, Stopped)
		}
	}
	return nil
}

// stop says good-bye to an agent that may know this controller. One that
// installs firmware is left alone: exit would reset its board.
func (c *Controller) stop() []Action {
	switch c.state {
	case Announcing, Agreeing, Agreed, Working:
		if c.firmware || c.suspended {
			return c.end(0, Stopped)
		}
		c.state = Leaving
		actions := []Action{StopTimer{CallTimer}, StopTimer{PollTimer}, StopTimer{AnswerTimer}, StopTimer{ExpectTimer}}
		return append(actions, c.call(Exit, GoodbyeTimer, c.config.Goodbye)...)
	case Leaving:
		return nil
	}
	return c.end(0, Stopped)
}

func (c *Controller) connect() []Action {
	c.state = Connecting
	c.link++
	return []Action{Connect{c.link}, StartTimer{CallTimer, c.callTimeout()}}
}

func (c *Controller) pause() []Action {
	c.state = Pausing
	retry := c.config.Retry
	switch {
	case c.suspended:
		retry = c.config.ResumeRetry
	case c.fruitless > 0:
		retry <<= c.fruitless - 1
	}
	return []Action{StopTimer{CallTimer}, Disconnect{c.link}, StartTimer{RetryTimer, retry}}
}

func (c *Controller) work() []Action {
	c.state = Working
	if c.polling || c.dialect == V2 {
		return nil
	}
	return []Action{c.nextPoll()}
}

func (c *Controller) call(function Function, timer Timer, limit time.Duration) []Action {
	return []Action{Call{c.link, function}, StartTimer{timer, limit}}
}

func (c *Controller) nextPoll() Action {
	if c.state == Working {
		return StartTimer{PollTimer, c.config.PollPause}
	}
	return StartTimer{PollTimer, c.config.KeepAlive}
}

func (c *Controller) end(status int, reason Reason) []Action {
	var actions []Action
	switch c.state {
	case Connecting, Greeting, Announcing, Agreeing, Agreed, Working, Leaving:
		actions = append(actions, Disconnect{c.link})
	}
	c.state, c.why = Ended, reason
	return append(actions, ExitProcess{status, reason})
}
