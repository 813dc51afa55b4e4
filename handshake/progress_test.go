package handshake

import (
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
				queue = append(queue, CallFailed{action.Conn, Events})
			case Resume:
				queue = append(queue, CallFailed{action.Conn, Events})
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

// An agent that is silent on each connection is lost, too, although each resume begins a new window.
func TestASilentAgentIsLost(t *testing.T) {
	c := NewController(ControllerConfig{Dialects: AnyDialect})
	events := []Event{Start{}, BoardReady{}, Connected{1}, HelloReplied{1, 1, false}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false}}
	resumes := 0
	for conn := ConnID(1); c.State() != Ended && conn < 1000; conn++ {
		events = append(events, TimerFired{replyTimer})
		for _, event := range events {
			c.Step(event)
		}
		if c.State() == Resuming {
			resumes++
		}
		events = []Event{Connected{conn + 1}, HelloReplied{conn + 1, 1, true}}
	}
	if c.State() != Ended || c.Reason() != HeartbeatTimeout || resumes != maxStalled-1 {
		t.Errorf("state %v because of %v after %d resumes, want Ended because of HeartbeatTimeout after %d", c.State(), c.Reason(), resumes, maxStalled-1)
	}
}

// A link that worked is resumed after one refusal.
func TestALinkWithProgressIsResumed(t *testing.T) {
	c := NewController(ControllerConfig{Dialects: AnyDialect})
	for _, event := range []Event{
		Start{}, BoardReady{}, Connected{1}, HelloReplied{1, 1, false}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false},
		Replied{1, Events, false}, CallFailed{1, Events},
	} {
		c.Step(event)
	}
	if c.State() != Resuming {
		t.Errorf("state %v, want Resuming", c.State())
	}
}
