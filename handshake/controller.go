package handshake

import "time"

// Controller is the machine of the main board, which connects and calls. It is not safe for concurrent use. The zero
// value is not usable; see [NewController].
type Controller struct {
	config     ControllerConfig
	state      State
	conn       ConnID
	boardReady bool
	// polling: a poll has no reply yet.
	polling bool
	// firmware and reset: why losing the agent is expected.
	firmware, reset bool

	dialect Dialect
	// epoch counts the agreements that v2 tries. agent is the instance id of the agent that was agreed with.
	epoch, agent uint64
	// suspended: agreed in v2, without a connection. isolated: the port is out of service. parted: the peer left as
	// expected. initDone: InitDone was returned. A link stays suspended while the port is isolated, or the peer has
	// parted, as long as the agent's process may live.
	suspended, isolated, parted, initDone bool
	// installing: the legacy agent that parted, or that an earlier process had, may still install firmware. i_am_here would
	// reset its board then.
	installing bool
	// progress: a call of Events had a reply on this connection. fruitless counts the agreements in a row that were
	// given up without one.
	progress  bool
	fruitless uint8
	// stalled counts the connections in a row that greeted and were lost without progress. windowOpen: the window to resume
	// the link runs. It began when the connection with the last progress was lost, and only progress ends it. overdue: the
	// window has passed, and the link is given up as soon as the agent cannot begin a command of its last connection.
	stalled             uint8
	windowOpen, overdue bool
	// reason is why the link was lost last, or why the process ends.
	reason Reason
}

// NewController returns a controller in state [Idle].
func NewController(config ControllerConfig) *Controller {
	return &Controller{config: config.withDefaults(), epoch: 1, installing: config.InstallingBefore}
}

// State returns the controller's state.
func (c *Controller) State() State {
	if c.starting() {
		switch {
		case c.isolated:
			return OutOfService
		case c.parted:
			return Parted
		case c.suspended:
			return Resuming
		}
	}
	return c.state
}

// starting reports whether the controller tries to agree or to resume.
func (c *Controller) starting() bool { return c.state == Pausing || c.connecting() }

// connecting reports whether callTimer limits an attempt to agree or to resume.
func (c *Controller) connecting() bool {
	return c.state == Connecting || c.state == Greeting || c.state == Announcing || c.state == Agreeing
}

func (c *Controller) agreed() bool { return c.state == Agreed || c.state == Working }

// Dialect returns the dialect of the latest agent. It is Legacy until an agent has replied to link_hello.
func (c *Controller) Dialect() Dialect { return c.dialect }

// Epoch returns the epoch of the v2 link. Without a link, it returns the epoch of the next agreement.
func (c *Controller) Epoch() uint64 { return c.epoch }

// CanResume reports whether there is a v2 link without a connection that may still be resumed, also long after its
// window.
func (c *Controller) CanResume() bool { return c.suspended }

// Doubtful reports whether there is a v2 link of which it is not certain that it carries events: connections of it were
// lost without progress, or its window is over. The shell then calls Events on a new connection, and passes HelloReplied
// only with the reply.
func (c *Controller) Doubtful() bool { return c.suspended && (c.isolated || c.stalled > 0) }

// Reason returns the latest reason for a lost link, an absent satellite or the end of the process. It returns 0 if
// there was none.
func (c *Controller) Reason() Reason { return c.reason }

// lossExpected reports whether losing the agent is part of an update or a reset.
func (c *Controller) lossExpected() bool { return c.firmware || c.reset }

// Step takes one event and returns what the shell has to do, in order.
func (c *Controller) Step(event Event) []Action {
	if c.state == Ended {
		return nil
	}
	switch e := event.(type) {
	case Start:
		if c.state == Idle {
			return append(c.connect(), c.limitInit()...)
		}
	case Connected:
		if e.Conn == c.conn && c.state == Connecting {
			return c.connected()
		}
	case HelloReplied:
		if e.Conn == c.conn && c.state == Greeting {
			return c.helloReplied(e)
		}
	case ConnectFailed:
		if e.Conn == c.conn && c.state == Connecting {
			return c.connectFailed(e.Refused)
		}
	case Replied:
		if e.Conn == c.conn {
			return c.replied(e)
		}
	case CallFailed:
		if e.Conn == c.conn {
			return c.failed(e)
		}
	case Disconnected:
		if e.Conn == c.conn {
			return c.lost(ConnectionLost)
		}
	case BoardReady:
		c.boardReady = true
		if c.state == Agreed {
			return c.work()
		}
	case FirmwareAccepted:
		c.firmware = true
	case FirmwareEnded:
		c.firmware, c.installing = false, false
	case ResetForwarded:
		if c.agreed() {
			c.reset = true
			return []Action{StartTimer{resetWindowTimer, c.config.ResetWindow}}
		}
	case TimerFired:
		return c.fired(e.Timer)
	case Stop:
		return c.stop()
	}
	return nil
}

func (c *Controller) replied(e Replied) []Action {
	switch {
	case e.Function == IAmHere && c.state == Announcing:
		if e.Known {
			return c.pause()
		}
		c.state = Agreeing
		return c.call(IAmReady, callTimer, c.config.CallTimeout)
	case e.Function == Retrieve && c.state == Announcing:
		if c.installing {
			return c.pause()
		}
		return c.announce()
	case e.Function == IAmReady && c.state == Agreeing:
		return c.agree()
	case e.Function == Events && c.dialect == V2:
		if c.agreed() {
			actions := []Action{StartTimer{replyTimer, c.config.HeartbeatTimeout}}
			if c.windowOpen {
				actions = append(actions, StopTimer{resumeTimer})
			}
			c.progress, c.fruitless, c.stalled, c.windowOpen, c.overdue = true, 0, 0, false, false
			return actions
		}
	case e.Function == Retrieve && c.polling:
		c.polling = false
		if c.agreed() {
			return []Action{StopTimer{replyTimer}, c.nextPoll()}
		}
	case e.Function == Exit && c.state == Leaving:
		return c.end(0, Stopped)
	}
	return nil
}

// failed handles an error in place of a reply. During the start the peer may be no agent, or one that is about to end:
// the controller tries again.
func (c *Controller) failed(e CallFailed) []Action {
	function := e.Function
	switch {
	case function == IAmHere && c.state == Announcing && e.Unknown && c.dialect == Legacy:
		// An agent of 2024.3 has i_am_ready alone.
		c.state = Agreeing
		return c.call(IAmReady, callTimer, c.config.CallTimeout)
	case function == Retrieve && c.state == Announcing && e.Unknown:
		c.installing = false
		return c.announce()
	case function == Retrieve && c.state == Announcing, function == IAmHere && c.state == Announcing, function == IAmReady && c.state == Agreeing:
		return c.pause()
	case function == Hello && c.state == Greeting:
		return c.helloUnknown()
	case function == Events && c.dialect == V2 && c.agreed():
		if c.progress {
			return c.lost(CallRefused)
		}
		// Another connection to an agent that sends no events would end the same way.
		return c.giveUpFruitless(CallRefused)
	case function == Retrieve && c.agreed():
		return c.lost(CallRefused)
	case function == Exit && c.state == Leaving:
		return c.end(0, Stopped)
	}
	return nil
}

func (c *Controller) fired(timer Timer) []Action {
	switch timer {
	case callTimer:
		return c.callOverdue()
	case retryTimer:
		if c.state == Pausing {
			return c.connect()
		}
	case pollTimer:
		if c.agreed() && !c.polling {
			c.polling = true
			return c.call(Retrieve, replyTimer, c.config.ReplyTimeout)
		}
	case replyTimer:
		if c.agreed() {
			return c.lost(HeartbeatTimeout)
		}
	case resetWindowTimer:
		c.reset = false
	case resumeTimer:
		return c.windowPassed()
	case initTimer:
		return c.startWithoutPeer()
	case absenceTimer:
		if c.parted {
			return c.end(1, PeerAbsent)
		}
	case exitTimer:
		if c.state == Leaving {
			return c.end(0, Stopped)
		}
	}
	return nil
}

// stop calls exit of an agent that may know this controller. It does not while the agent installs firmware: exit would
// reset its board.
func (c *Controller) stop() []Action {
	switch c.state {
	case Announcing, Agreeing, Agreed, Working:
		if c.firmware || c.suspended || c.installing {
			return c.end(0, Stopped)
		}
		c.state = Leaving
		actions := []Action{StopTimer{callTimer}, StopTimer{pollTimer}, StopTimer{replyTimer}, StopTimer{resetWindowTimer}}
		return append(actions, c.call(Exit, exitTimer, c.config.ExitTimeout)...)
	case Leaving:
		return nil
	}
	return c.end(0, Stopped)
}

func (c *Controller) call(function Function, timer Timer, limit time.Duration) []Action {
	return []Action{Call{c.conn, function}, StartTimer{timer, limit}}
}

func (c *Controller) work() []Action {
	c.state = Working
	if c.polling || c.dialect == V2 {
		return nil
	}
	return []Action{c.nextPoll()}
}

func (c *Controller) nextPoll() Action {
	if c.state == Working {
		return StartTimer{pollTimer, c.config.PollPause}
	}
	return StartTimer{pollTimer, c.config.KeepAlive}
}

func (c *Controller) end(status int, reason Reason) []Action {
	var actions []Action
	if c.connecting() || c.agreed() || c.state == Leaving {
		actions = append(actions, Disconnect{c.conn})
	}
	c.state, c.reason = Ended, reason
	return append(actions, ExitProcess{status, reason})
}
