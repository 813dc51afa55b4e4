package handshake

import (
	"slices"
	"testing"
	"time"
)

// refusedEvents drives a v2 controller whose agent agrees with everything and then refuses each call of link_events. It
// returns the time that passes until the machine ends or the rounds are over, and the connections that were made.
func refusedEvents(t *testing.T, config ControllerConfig, rounds int) (passed time.Duration, connects int, last State) {
	t.Helper()
	c := NewController(config)
	retry := time.Duration(0)
	queue := []Event{Start{}, BoardReady{}}
	for range rounds {
		if len(queue) == 0 {
			passed += retry
			queue = append(queue, TimerFired{retryTimer})
		}
		event := queue[0]
		queue = queue[1:]
		for _, action := range c.Step(event) {
			switch action := action.(type) {
			case Connect:
				connects++
				queue = append(queue, Connected(action))
			case Call:
				switch action.Function {
				case Hello:
					queue = append(queue, HelloReplied{action.Conn, 1, c.suspended})
				case IAmHere, IAmReady:
					queue = append(queue, Replied{action.Conn, action.Function, false})
				}
			case Establish:
				queue = append(queue, CallFailed{Conn: action.Conn, Function: Events})
			case Resume:
				queue = append(queue, CallFailed{Conn: action.Conn, Function: Events})
			case StartTimer:
				if action.Timer == retryTimer {
					retry = action.After
				}
			}
		}
		if c.State() == Ended {
			break
		}
	}
	return passed, connects, c.State()
}

// An agent that can be reached but never hands over events is lost: the policy applies, and nothing spins.
func TestALinkWithoutProgressIsLost(t *testing.T) {
	if _, connects, last := refusedEvents(t, ControllerConfig{Dialects: AnyDialect}, 1000); last != Ended || connects > 2 {
		t.Errorf("restart: state %v after %d connections, want Ended after at most 2", last, connects)
	}
	passed, connects, _ := refusedEvents(t, ControllerConfig{Dialects: AnyDialect, LossPolicy: IsolateOnLoss}, 1000)
	if passed < time.Duration(connects-1)*time.Second {
		t.Errorf("isolate: %d connections within %v, want a pause of at least 1 s before each", connects, passed)
	}
}

// silent drives a controller whose agent greets on each connection and then says nothing. It returns when each connection
// was begun, and when the port was isolated or the process ended, within a limit of time.
func silent(c *Controller, limit time.Duration) (begun []time.Duration, lost time.Duration) {
	var now time.Duration
	alarms := map[Timer]time.Duration{}
	queue := []Event{Start{}, BoardReady{}}
	for now <= limit && c.State() != Ended {
		if len(queue) == 0 {
			var next Timer
			for timer, due := range alarms {
				if next == 0 || due < alarms[next] {
					next = timer
				}
			}
			now = max(now, alarms[next])
			delete(alarms, next)
			queue = append(queue, TimerFired{next})
		}
		event := queue[0]
		queue = queue[1:]
		for _, action := range c.Step(event) {
			switch action := action.(type) {
			case Connect:
				begun = append(begun, now)
				queue = append(queue, Connected(action))
			case Call:
				switch {
				case action.Function == Hello && !c.Doubtful():
					queue = append(queue, HelloReplied{action.Conn, 1, c.suspended})
				case action.Function == IAmHere, action.Function == IAmReady:
					queue = append(queue, Replied{action.Conn, action.Function, false})
				}
			case StartTimer:
				alarms[action.Timer] = now + action.After
			case StopTimer:
				delete(alarms, action.Timer)
			case Isolate, ExitProcess:
				if lost == 0 {
					lost = now
				}
			}
		}
	}
	return begun, lost
}

// Connections alone do not keep a link: without progress for the window it is lost, and its connections come ever less
// often. The agent's process may live, so an isolating controller goes on asking for its link, not for a new one.
func TestALinkThatOnlyConnectsIsLost(t *testing.T) {
	for _, window := range []time.Duration{5 * time.Second, 30 * time.Second, time.Minute} {
		for _, policy := range []LossPolicy{RestartOnLoss, IsolateOnLoss} {
			c := NewController(ControllerConfig{Dialects: AnyDialect, LossPolicy: policy, ResumeWindow: window})
			begun, lost := silent(c, 10*time.Minute)
			// The first connection falls silent after 1.5 s. Commands of the last one may begin for up to 1.5 s.
			if least := window + 1500*time.Millisecond; lost < least || lost > least+3*time.Second {
				t.Errorf("%v, window %v: lost after %v, want at least %v, and 3 s more at most", policy, window, lost, least)
			}
			for i := 2; i < len(begun)-1; i++ {
				if before, after := begun[i]-begun[i-1], begun[i+1]-begun[i]; after < before && begun[i+1] < lost {
					t.Errorf("%v, window %v: connections %v, want growing pauses", policy, window, begun)
					break
				}
			}
			switch {
			case policy == RestartOnLoss && (c.State() != Ended || c.Reason() != HeartbeatTimeout):
				t.Errorf("state %v because of %v, want Ended because of HeartbeatTimeout", c.State(), c.Reason())
			case policy == IsolateOnLoss && (c.State() != OutOfService || !c.CanResume() || c.Epoch() != 1):
				t.Errorf("state %v, epoch %d, want OutOfService with the link of epoch 1", c.State(), c.Epoch())
			}
			if policy == IsolateOnLoss && len(begun) > 80 {
				t.Errorf("%d connections in ten minutes", len(begun))
			}
		}
	}
}

// A port whose link has no progress stays out of service although the agent greets, and comes back with the first answer.
func TestOnlyProgressPutsAPortInService(t *testing.T) {
	c := NewController(ControllerConfig{Dialects: AnyDialect, LossPolicy: IsolateOnLoss})
	silent(c, time.Minute)
	for c.state != Greeting {
		c.Step(TimerFired{retryTimer})
		c.Step(Connected{c.conn})
	}
	if !c.Doubtful() || c.State() != OutOfService {
		t.Fatalf("state %v, doubtful %v", c.State(), c.Doubtful())
	}
	c.Step(HelloReplied{c.conn, 1, true}) // with the answer of link_events
	c.Step(Replied{c.conn, Events, false})
	if c.State() != Working || c.stalled != 0 || c.windowOpen {
		t.Errorf("state %v, %d connections without progress, window open: %v", c.State(), c.stalled, c.windowOpen)
	}
	c.Step(Disconnected{c.conn})
	if c.State() != Resuming || c.Doubtful() {
		t.Errorf("state %v, doubtful %v, want to resume as ever", c.State(), c.Doubtful())
	}
}

// The window of a loss ends with progress, not with a connection: a timer that runs on after a resume is stopped by it.
func TestProgressEndsTheWindow(t *testing.T) {
	c := NewController(ControllerConfig{Dialects: AnyDialect})
	for _, event := range []Event{
		Start{}, BoardReady{}, Connected{1}, HelloReplied{1, 1, false}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false},
		Replied{1, Events, false}, Disconnected{1}, Connected{2},
	} {
		c.Step(event)
	}
	if slices.Contains(c.Step(HelloReplied{2, 1, true}), Action(StopTimer{resumeTimer})) {
		t.Error("a connection ends the window")
	}
	if !slices.Contains(c.Step(Replied{2, Events, false}), Action(StopTimer{resumeTimer})) {
		t.Error("progress does not end the window")
	}
}

// A legacy link ends with the first poll that is not answered in time, whatever connects.
func TestALegacyLinkLivesByItsPolls(t *testing.T) {
	c := NewController(ControllerConfig{})
	for _, event := range []Event{
		Start{}, BoardReady{}, Connected{1}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false}, TimerFired{pollTimer},
	} {
		c.Step(event)
	}
	if !slices.Contains(c.Step(Replied{1, Retrieve, false}), Action(StopTimer{replyTimer})) {
		t.Error("a poll that is answered does not end its time limit")
	}
	if actions := c.Step(TimerFired{pollTimer}); !slices.Contains(actions, Action(StartTimer{replyTimer, 30 * time.Second})) {
		t.Errorf("a poll has no time limit: %v", actions)
	}
	c.Step(TimerFired{replyTimer})
	if c.State() != Ended || c.Reason() != HeartbeatTimeout {
		t.Errorf("state %v because of %v, want Ended because of HeartbeatTimeout", c.State(), c.Reason())
	}
}

// A link that worked is resumed after one refusal.
func TestALinkWithProgressIsResumed(t *testing.T) {
	c := NewController(ControllerConfig{Dialects: AnyDialect})
	for _, event := range []Event{
		Start{}, BoardReady{}, Connected{1}, HelloReplied{1, 1, false}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false},
		Replied{1, Events, false}, CallFailed{Conn: 1, Function: Events},
	} {
		c.Step(event)
	}
	if c.State() != Resuming {
		t.Errorf("state %v, want Resuming", c.State())
	}
}
