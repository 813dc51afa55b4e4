package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// fakeBoards are boards without processes: a test says what they report.
type fakeBoards struct {
	events chan Event
	// heard are the orders and starts, in their order; started is when boards were
	// started.
	heard   []string
	started []time.Time
	// onOrder and onStart answer by events.
	onOrder func(board string, do Do) []Event
	onStart func(board string) []Event
}

type fakeBoard struct {
	name   string
	boards *fakeBoards
}

// send delivers events from outside the station's goroutine, which takes them.
func (f *fakeBoards) send(events []Event) {
	go func() {
		for _, event := range events {
			f.events <- event
		}
	}()
}

func (b fakeBoard) Order(order Order) {
	b.boards.heard = append(b.boards.heard, b.name+" "+string(order.Do))
	if b.boards.onOrder != nil {
		b.boards.send(b.boards.onOrder(b.name, order.Do))
	}
}
func (b fakeBoard) Stop() { b.boards.send([]Event{{Board: b.name, Ended: errStopped}}) }
func (b fakeBoard) Kill() {
	b.boards.send([]Event{{Board: b.name, Ended: errors.New("signal: killed")}})
}

func (f *fakeBoards) start(config BoardConfig) (boardProcess, error) {
	f.heard = append(f.heard, "start "+config.Name)
	f.started = append(f.started, time.Now())
	if f.onStart != nil {
		f.send(f.onStart(config.Name))
	}
	return fakeBoard{config.Name, f}, nil
}

// waits are the times between the restarts of a board. Main board and satellite
// start at once.
func (f *fakeBoards) waits() []time.Duration {
	var waits []time.Duration
	for i, started := range f.started[2:] {
		waits = append(waits, started.Sub(f.started[i+1]))
	}
	return waits
}

func reportOf(board string, report Report) Event { return Event{Board: board, Report: &report} }

func recorded(board string, entry ledger.Entry) Event {
	return reportOf(board, Report{Kind: KindEntry, Entry: &entry})
}

func ready(board string) []Event { return []Event{reportOf(board, Report{Kind: KindReady})} }

// conduct runs a station with one satellite on fake boards.
func conduct(t *testing.T, boards *fakeBoards, flags Flags) (summary string, err error) {
	t.Helper()
	boards.events = make(chan Event)
	flags.Satellites, flags.Speed = 1, 1
	to := &output{t: t}
	station := NewStation(flags, Boards(flags, []int{1}), 30*time.Second, boards.start, boards.events, terminal.New(to, false))
	err = station.Run(t.Context())
	station.Summary()
	return to.text.String(), err
}

// goodBoards play a round in which one variable is sent, and arrives unless it is
// lost.
func goodBoards(lost bool) *fakeBoards {
	limits := ledger.Entry{Kind: ledger.Published, Satellite: 1, Label: "limits", Digest: "1"}
	arrived := limits
	arrived.Kind = ledger.Arrived
	return &fakeBoards{
		onStart: ready,
		onOrder: func(board string, do Do) []Event {
			switch {
			case do == DoPlay && board != boardMain:
				events := []Event{recorded(board, limits), reportOf(board, Report{Kind: KindPlayed, Satellite: 1})}
				if !lost {
					events = slices.Insert(events, 1, recorded(boardMain, arrived))
				}
				return events
			case do == DoFinish:
				return []Event{reportOf(board, Report{Kind: KindFinished})}
			}
			return nil
		},
	}
}

func TestOnceSucceedsWhereNothingIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := goodBoards(false)
		summary, err := conduct(t, boards, Flags{Once: true})
		if err != nil || !strings.Contains(summary, "arrived in order and unchanged") {
			t.Errorf("error %v, summary %s", err, summary)
		}
		want := []string{"start main", "start satellite1", "main play", "satellite1 play", "main finish"}
		if !slices.Equal(boards.heard, want) {
			t.Errorf("the boards heard %q, want %q", boards.heard, want)
		}
	})
}

func TestOnceFailsAndSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		summary, err := conduct(t, goodBoards(true), Flags{Once: true})
		if !errors.Is(err, errUnbalanced) || !strings.Contains(summary, "satellite1: variables: 1 of 1 missing: limits") {
			t.Errorf("error %v, summary %s", err, summary)
		}
		if waited := time.Since(began); waited != settleLimit {
			t.Errorf("waited %v for what is missing, want %v", waited, settleLimit)
		}
	})
}

func TestOnceFailsWhereABoardEndsUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := goodBoards(false)
		play, ended := boards.onOrder, false
		boards.onOrder = func(board string, do Do) []Event {
			if do == DoPlay && board != boardMain && !ended {
				ended = true
				return []Event{{Board: board, Line: errorPrefix + "broker lost"}, {Board: board, Ended: errors.New("exit status 1")}}
			}
			return play(board, do)
		}
		summary, err := conduct(t, boards, Flags{Once: true})
		if !errors.Is(err, errUnbalanced) || !strings.Contains(summary, "satellite1 ended: exit status 1: broker lost") {
			t.Errorf("error %v, summary %s", err, summary)
		}
		if !strings.Contains(summary, "1 of 2 rounds") {
			t.Errorf("the round was not played again: %s", summary)
		}
	})
}

func TestBoardsThatDoNotMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := &fakeBoards{onStart: func(board string) []Event {
			if board == boardMain {
				return nil
			}
			return ready(board)
		}}
		began := time.Now()
		_, err := conduct(t, boards, Flags{Once: true})
		if err == nil || !strings.HasSuffix(err.Error(), "not every board is ready: main") || time.Since(began) != readyLimit {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestBoardThatNeverGetsReadyIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := &fakeBoards{onStart: func(board string) []Event {
			if board != boardMain {
				return ready(board)
			}
			return []Event{{Board: board, Line: errorPrefix + "no broker"}, {Board: board, Ended: errors.New("exit status 1")}}
		}}
		_, err := conduct(t, boards, Flags{})
		if err == nil || !strings.Contains(err.Error(), "main does not become ready") || !strings.Contains(err.Error(), "no broker") {
			t.Errorf("error %v", err)
		}
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}
		if waits := boards.waits(); !slices.Equal(waits, want) || len(waits) != maxStarts-1 {
			t.Errorf("waits of %v between the starts, want %v", waits, want)
		}
	})
}

// Once a board was ready, the wait before its next start is the first one again.
func TestReadyBoardIsStartedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards, starts := goodBoards(false), 0
		boards.onStart = func(board string) []Event {
			if board == boardMain {
				return ready(board)
			}
			ended := Event{Board: board, Ended: errors.New("exit status 1")}
			switch starts++; starts {
			case 1, 2:
				return []Event{ended}
			case 3:
				return append(ready(board), ended)
			}
			return ready(board)
		}
		if _, err := conduct(t, boards, Flags{Once: true}); !errors.Is(err, errUnbalanced) {
			t.Errorf("error %v, want that of a board that ended unasked", err)
		}
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 100 * time.Millisecond}
		if waits := boards.waits(); !slices.Equal(waits, want) {
			t.Errorf("waits of %v between the starts, want %v", waits, want)
		}
	})
}

func TestBoardsThatDoNotPlay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		summary, err := conduct(t, &fakeBoards{onStart: ready}, Flags{})
		if !errors.Is(err, errUnbalanced) || !strings.Contains(summary, "still playing") {
			t.Errorf("error %v, summary %s", err, summary)
		}
	})
}

func TestRoundsFollowEachOtherUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := goodBoards(false)
		boards.events = make(chan Event)
		ctx, cancel := context.WithTimeout(t.Context(), roundPause*5/2)
		defer cancel()
		flags := Flags{Satellites: 1, Speed: 1}
		to := &output{t: t}
		station := NewStation(flags, Boards(flags, []int{1}), time.Second, boards.start, boards.events, terminal.New(to, false))
		if err := station.Run(ctx); err != nil {
			t.Error(err)
		}
		if station.rounds != 3 || station.totals[1].Arrived != 3 {
			t.Errorf("%d rounds, %d variables, want 3 of both", station.rounds, station.totals[1].Arrived)
		}
	})
}

// On a busy machine a link can be away for a moment without -flap: a repeated
// command that is answered without the satellite meanwhile is no fault, and
// counted. While the link stands such an answer is one.
func TestCommandAnsweredWhileTheLinkIsAway(t *testing.T) {
	for name, test := range map[string]struct {
		status Status
		want   error
	}{
		"away":    {Status{State: "Resuming"}, nil},
		"resumed": {Status{State: handshake.Working.String(), Resumes: 1}, nil},
		"stands":  {Status{State: handshake.Working.String()}, errUnbalanced},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				called := ledger.Entry{Kind: ledger.Called, Satellite: 1, Name: "enforce_limits", Label: "call", Call: 1, Digest: "a"}
				answered := called
				answered.Kind, answered.Answer = ledger.Answered, ledger.Digest([]byte("null"))
				boards := goodBoards(false)
				play := boards.onOrder
				boards.onOrder = func(board string, do Do) []Event {
					events := play(board, do)
					if do == DoFinish {
						status := Report{Kind: KindStatus, Satellite: 1, Status: &test.status}
						events = append([]Event{recorded(board, called), recorded(board, answered), reportOf(board, status)}, events...)
					}
					return events
				}
				summary, err := conduct(t, boards, Flags{Once: true})
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v: %s", err, test.want, summary)
				}
				if counted := strings.Contains(summary, "1 calls of commands that are repeated"); counted != (test.want == nil) {
					t.Errorf("counted: %v in %s", counted, summary)
				}
			})
		})
	}
}
