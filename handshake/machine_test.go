package handshake

import (
	"fmt"
	"strings"
	"testing"
)

// everything is one event of each type and of each value that matters.
func everything() []Event {
	events := []Event{
		Start{}, Stop{}, BoardReady{}, FirmwareAccepted{}, FirmwareEnded{}, ResetForwarded{1},
		Connected{1}, ConnectFailed{1, true}, Disconnected{1}, Disconnected{1}, JournalFull{}, ResetRefused{},
		ResetAnswered{}, ResetAnswered{Allowed: true}, ResetAnswered{Taken: true},
	}
	for f := IAmHere; f <= Exit; f++ {
		events = append(events, Replied{1, f, false}, Replied{1, f, true}, CallFailed{Conn: 1, Function: f}, CallFailed{1, f, true}, Called{1, f})
	}
	for timer := callTimer; timer <= askTimer; timer++ {
		events = append(events, TimerFired{timer})
	}
	return events
}

// TestAnyEventAnywhere sends both machines every short sequence of events. Neither panics, starts a timer without a
// duration, or acts after its end.
func TestAnyEventAnywhere(t *testing.T) {
	check := func(t *testing.T, ended bool, actions []Action) {
		t.Helper()
		if ended && len(actions) > 0 {
			t.Fatalf("acts after its end: %v", actions)
		}
		for _, action := range actions {
			if s, ok := action.(StartTimer); ok && s.After <= 0 {
				t.Fatalf("starts a timer without a duration: %v", action)
			}
		}
	}
	var agents func(a Agent, depth int)
	agents = func(a Agent, depth int) {
		for _, event := range everything() {
			next := a
			check(t, a.State() == Ended, next.Step(event))
			if depth > 1 && next.State() != Idle {
				agents(next, depth-1)
			}
		}
	}
	agents(*NewAgent(AgentConfig{HasSystem: true}), 4)
	agents(*NewAgent(AgentConfig{}), 4)
	agents(*NewAgent(AgentConfig{HasSystem: true, AsksReset: true}), 3)
	var controllers func(c Controller, depth int)
	controllers = func(c Controller, depth int) {
		for _, event := range everything() {
			next := c
			check(t, c.State() == Ended, next.Step(event))
			if depth > 1 && next.State() != Idle {
				controllers(next, depth-1)
			}
		}
	}
	controllers(*NewController(ControllerConfig{}), 4)
}

// TestStaleLink shows that events of an abandoned connection change nothing.
func TestStaleLink(t *testing.T) {
	c := NewController(ControllerConfig{})
	c.Step(Start{})
	c.Step(ConnectFailed{1, true})
	c.Step(TimerFired{retryTimer})
	if c.conn != 2 || c.State() != Connecting {
		t.Fatalf("connection %d in state %v, want 2 in Connecting", c.conn, c.State())
	}
	before := *c
	for _, event := range []Event{
		Connected{1}, ConnectFailed{1, true}, Disconnected{1}, Replied{1, IAmHere, false}, CallFailed{Conn: 1, Function: IAmHere}, CallFailed{1, IAmHere, true},
	} {
		if actions := c.Step(event); len(actions) > 0 || *c != before {
			t.Errorf("%v: %v, state %v", event, actions, c.State())
		}
	}
}

func TestDisconnectExpected(t *testing.T) {
	agreed := func() *Controller {
		c := NewController(ControllerConfig{})
		for _, event := range []Event{Start{}, Connected{1}, Replied{1, IAmHere, false}, Replied{1, IAmReady, false}} {
			c.Step(event)
		}
		return c
	}
	for _, test := range []struct {
		events []Event
		want   bool
	}{
		{nil, false},
		{[]Event{FirmwareAccepted{}}, true},
		{[]Event{FirmwareAccepted{}, FirmwareEnded{}}, false},
		{[]Event{ResetForwarded{}}, true},
		{[]Event{ResetForwarded{}, TimerFired{resetWindowTimer}}, false},
		{[]Event{ResetForwarded{}, FirmwareAccepted{}, TimerFired{resetWindowTimer}}, true},
	} {
		c := agreed()
		for _, event := range test.events {
			c.Step(event)
		}
		if got := c.lossExpected(); got != test.want {
			t.Errorf("after %v: %v, want %v", test.events, got, test.want)
		}
		c.Step(Disconnected{1})
		if got := c.State() == Parted; got != test.want {
			t.Errorf("after %v a lost link leads to %v", test.events, c.State())
		}
	}
}

// TestNames proves that every value of the closed sets has a name of its own.
func TestNames(t *testing.T) {
	for set, texts := range map[string][]string{
		"State":    texts(Idle, Ended),
		"Function": texts(IAmHere, Exit),
		"Timer":    texts(callTimer, resetTimer),
		"Reason":   texts(Stopped, ResetFailed),
	} {
		seen := map[string]bool{}
		for _, text := range texts {
			if text == "" || seen[text] || strings.HasPrefix(text, set+"(") {
				t.Errorf("%s: name %q is missing or not its own", set, text)
			}
			seen[text] = true
		}
	}
	for _, text := range []string{fmt.Sprint(State(99)), fmt.Sprint(Function(0)), fmt.Sprint(Timer(99)), fmt.Sprint(Reason(99))} {
		if !strings.HasSuffix(text, ")") {
			t.Errorf("a value outside of its set is called %q", text)
		}
	}
}

func texts[T interface {
	~uint8
	fmt.Stringer
}](from, to T) []string {
	var list []string
	for v := from; v <= to; v++ {
		list = append(list, v.String())
	}
	return list
}
