package handshake

import (
	"slices"
	"testing"
	"time"
)

// asking returns an agent that asks before a reset and works with a controller of the dialect, on connection 1.
func asking(t *testing.T, dialect Dialect, hasSystem bool) *Agent {
	t.Helper()
	a := NewAgent(AgentConfig{Dialects: AnyDialect, HasSystem: hasSystem, AsksReset: true})
	a.Step(Start{})
	if dialect == V2 {
		a.Step(HelloCalled{Conn: 1, Peer: Peer{InstanceID: 7, Epoch: 1, HeartbeatTimeout: time.Second, KeepLink: time.Minute}})
	}
	for _, event := range []Event{Called{1, IAmHere}, Called{1, IAmReady}, BoardReady{}} {
		a.Step(event)
	}
	if a.State() != Working || a.Dialect() != dialect {
		t.Fatalf("%v in %v", a.State(), a.Dialect())
	}
	return a
}

func asks(actions []Action, reason Reason) bool {
	return slices.Contains(actions, Action(AskReset{reason})) && !slices.Contains(actions, Action(StopServer{}))
}

// losses are the ways to lose a controller for good.
var losses = []struct {
	name    string
	dialect Dialect
	events  []Event
	reason  Reason
}{
	{"legacy silence", Legacy, []Event{TimerFired{heartbeatTimer}}, HeartbeatTimeout},
	{"legacy exit", Legacy, []Event{Called{1, Exit}}, PeerLeft},
	{"legacy restart", Legacy, []Event{Called{2, IAmHere}}, PeerRestarted},
	{"journal", Legacy, []Event{JournalFull{}}, JournalOverflow},
	{"v2 journal", V2, []Event{JournalFull{}}, JournalOverflow},
	{"v2 window", V2, []Event{Disconnected{1}, TimerFired{resumeTimer}}, HeartbeatTimeout},
	{"v2 exit", V2, []Event{Called{1, Exit}}, PeerLeft},
	{"v2 restart", V2, []Event{Called{2, IAmHere}}, PeerRestarted},
}

// TestEachLossIsAskedFor: an agent with a policy serves on until it may reset, and does then what it does without one.
func TestEachLossIsAskedFor(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			lose := func(hasSystem bool) *Agent {
				a := asking(t, loss.dialect, hasSystem)
				var actions []Action
				for _, event := range loss.events {
					actions = append(actions, a.Step(event)...)
				}
				if !asks(actions, loss.reason) || !a.serving() {
					t.Fatalf("%v in state %v, want AskReset and no end", actions, a.State())
				}
				return a
			}
			if got := lose(true).Step(ResetAnswered{Allowed: true}); len(got) != 3 || got[0] != Action(StopServer{}) || got[1] != Action(ResetSystem{loss.reason}) {
				t.Errorf("allowed: %v", got)
			}
			if got := lose(false).Step(ResetAnswered{Allowed: true}); !slices.Contains(got, Action(ExitProcess{1, loss.reason})) {
				t.Errorf("allowed without a system: %v", got)
			}
			a := lose(true)
			if got := a.Step(ResetAnswered{Taken: true}); len(got) != 2 || got[0] != Action(StopServer{}) || a.State() != Resetting {
				t.Errorf("taken: %v in state %v", got, a.State())
			}
			if got := a.Step(TimerFired{resetTimer}); !slices.Contains(got, Action(ExitProcess{1, ResetFailed})) {
				t.Errorf("taken, and nothing happens: %v", got)
			}
			a = lose(true)
			if got := a.Step(ResetAnswered{Again: time.Hour}); !slices.Equal(got, []Action{StartTimer{askTimer, time.Hour}}) {
				t.Errorf("not allowed: %v", got)
			}
			// The reason lasts, or the link stands all the same.
			got := a.Step(TimerFired{askTimer})
			if stands := loss.name == "v2 restart"; asks(got, loss.reason) == stands {
				t.Errorf("when asked again: %v", got)
			}
		})
	}
}

// TestALinkThatIsBackIsNotAskedFor: a reset that was not allowed loses its reason when the controller is back.
func TestALinkThatIsBackIsNotAskedFor(t *testing.T) {
	for _, test := range []struct {
		name       string
		dialect    Dialect
		lose, back []Event
	}{
		{"legacy", Legacy, []Event{TimerFired{heartbeatTimer}}, []Event{Called{1, Retrieve}}},
		{"v2", V2, []Event{Disconnected{1}, TimerFired{resumeTimer}}, []Event{HelloCalled{Conn: 2, Peer: Peer{InstanceID: 7, Epoch: 1, HeartbeatTimeout: time.Second}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, answered := range []bool{false, true} {
				a := asking(t, test.dialect, true)
				for _, event := range test.lose {
					a.Step(event)
				}
				late := Event(ResetAnswered{Allowed: true})
				if answered {
					a.Step(ResetAnswered{Again: time.Minute})
					late = TimerFired{askTimer}
				}
				for _, event := range test.back {
					a.Step(event)
				}
				if got := a.Step(late); len(got) > 0 || a.State() != Working {
					t.Errorf("%v after the link is back: %v in state %v", late, got, a.State())
				}
				// The next loss is asked for.
				var got []Action
				if test.dialect == V2 {
					a.Step(Disconnected{2})
					got = a.Step(TimerFired{resumeTimer})
				} else {
					got = a.Step(TimerFired{heartbeatTimer})
				}
				if !asks(got, HeartbeatTimeout) {
					t.Errorf("the next loss: %v", got)
				}
			}
		})
	}
}

// TestAnUpdateIsAskedForAtItsEnd: while an update runs nobody is asked.
func TestAnUpdateIsAskedForAtItsEnd(t *testing.T) {
	a := asking(t, V2, true)
	a.Step(FirmwareAccepted{})
	a.Step(Disconnected{1})
	if got := a.Step(TimerFired{resumeTimer}); slices.ContainsFunc(got, func(action Action) bool { _, ok := action.(AskReset); return ok }) {
		t.Errorf("asked during the update: %v", got)
	}
	a.Step(Called{2, Exit})
	if got := a.Step(Called{3, IAmHere}); len(got) != 2 {
		t.Errorf("asked during the update: %v", got)
	}
	a.held = HeartbeatTimeout
	if got := a.Step(FirmwareEnded{}); !asks(got, HeartbeatTimeout) {
		t.Errorf("at the update's end: %v", got)
	}
	if got := a.Step(ResetAnswered{Allowed: true}); !slices.Contains(got, Action(ResetSystem{HeartbeatTimeout})) {
		t.Errorf("allowed: %v", got)
	}
}
