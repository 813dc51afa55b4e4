package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/supervisor"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// fakeBoards are boards without processes: a test says what they report.
type fakeBoards struct {
	mu sync.Mutex
	// heard are the orders and starts, in their order; started is when boards were
	// started.
	heard   []string
	started []time.Time
	// onOrder and onStart answer by events.
	onOrder func(board string, do Do) []supervisor.Event
	onStart func(board string) []supervisor.Event
	// emit is that of each board, so that a board can report what another one did.
	emit map[string]func(supervisor.Event)
}

// fakeBoard ends when ended receives how.
type fakeBoard struct {
	name   string
	boards *fakeBoards
	ended  chan error
}

// send delivers events from outside the station's goroutine, which takes them.
func (b *fakeBoard) send(events []supervisor.Event) {
	go func() {
		for _, event := range events {
			switch b.boards.mu.Lock(); {
			case event.Ended != nil:
				b.boards.mu.Unlock()
				b.ended <- event.Ended
			default:
				emit := b.boards.emit[event.Board]
				b.boards.mu.Unlock()
				emit(event)
			}
		}
	}()
}

func (b *fakeBoard) hear(what string) {
	b.boards.mu.Lock()
	defer b.boards.mu.Unlock()
	b.boards.heard = append(b.boards.heard, what)
}

func (b *fakeBoard) Order(order any) {
	do := order.(Order).Do
	b.hear(b.name + " " + string(do))
	if b.boards.onOrder != nil {
		b.send(b.boards.onOrder(b.name, do))
	}
}
func (b *fakeBoard) Stop()       { b.ended <- supervisor.ErrStopped }
func (b *fakeBoard) Kill()       { b.ended <- errors.New("signal: killed") }
func (b *fakeBoard) Wait() error { return <-b.ended }

func (f *fakeBoards) start(name string, emit func(supervisor.Event)) (supervisor.Process, error) {
	board := &fakeBoard{name, f, make(chan error, 1)}
	board.hear("start " + name)
	f.mu.Lock()
	f.started = append(f.started, time.Now())
	if f.emit == nil {
		f.emit = map[string]func(supervisor.Event){}
	}
	f.emit[name] = emit
	f.mu.Unlock()
	if f.onStart != nil {
		board.send(f.onStart(name))
	}
	return board, nil
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

func reportOf(board string, report Report) supervisor.Event {
	line, err := json.Marshal(report)
	if err != nil {
		panic(err)
	}
	return supervisor.Event{Board: board, Report: line}
}

func recorded(board string, entry ledger.Entry) supervisor.Event {
	return reportOf(board, Report{Kind: KindEntry, Entry: &entry})
}

func ready(board string) []supervisor.Event {
	return []supervisor.Event{reportOf(board, Report{Kind: KindReady})}
}

// conduct runs a station with one satellite on fake boards.
func conduct(t *testing.T, boards *fakeBoards, flags Flags) (summary string, err error) {
	t.Helper()
	flags.Satellites, flags.Speed = 1, 1
	to := &output{t: t}
	station := NewStation(flags, Boards(flags, []int{1}), 30*time.Second, boards.start, terminal.New(to, false))
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
		onOrder: func(board string, do Do) []supervisor.Event {
			switch {
			case do == DoPlay && board != boardMain:
				events := []supervisor.Event{recorded(board, limits), reportOf(board, Report{Kind: KindPlayed, Satellite: 1})}
				if !lost {
					events = slices.Insert(events, 1, recorded(boardMain, arrived))
				}
				return events
			case do == DoFinish:
				return []supervisor.Event{reportOf(board, Report{Kind: KindFinished})}
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
		slices.Sort(boards.heard[:2]) // the boards start at the same time
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
		boards.onOrder = func(board string, do Do) []supervisor.Event {
			if do == DoPlay && board != boardMain && !ended {
				ended = true
				return []supervisor.Event{{Board: board, Line: errorPrefix + "broker lost"}, {Board: board, Ended: errors.New("exit status 1")}}
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
		boards := &fakeBoards{onStart: func(board string) []supervisor.Event {
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
		boards := &fakeBoards{onStart: func(board string) []supervisor.Event {
			if board != boardMain {
				return ready(board)
			}
			return []supervisor.Event{{Board: board, Line: errorPrefix + "no broker"}, {Board: board, Ended: errors.New("exit status 1")}}
		}}
		_, err := conduct(t, boards, Flags{})
		if err == nil || !strings.Contains(err.Error(), "main does not become ready") || !strings.Contains(err.Error(), "no broker") {
			t.Errorf("error %v", err)
		}
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}
		if waits := boards.waits(); !slices.Equal(waits, want) || len(waits) != supervisor.MaxStarts-1 {
			t.Errorf("waits of %v between the starts, want %v", waits, want)
		}
	})
}

// Once a board was ready, the wait before its next start is the first one again.
func TestReadyBoardIsStartedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards, starts := goodBoards(false), 0
		boards.onStart = func(board string) []supervisor.Event {
			if board == boardMain {
				return ready(board)
			}
			if starts++; starts <= 2 {
				return []supervisor.Event{{Board: board, Ended: errors.New("exit status 1")}}
			}
			return ready(board)
		}
		play := boards.onOrder
		boards.onOrder = func(board string, do Do) []supervisor.Event {
			if board != boardMain && starts == 3 {
				return []supervisor.Event{{Board: board, Ended: errors.New("exit status 1")}}
			}
			return play(board, do)
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
		ctx, cancel := context.WithTimeout(t.Context(), roundPause*5/2)
		defer cancel()
		flags := Flags{Satellites: 1, Speed: 1}
		to := &output{t: t}
		station := NewStation(flags, Boards(flags, []int{1}), time.Second, boards.start, terminal.New(to, false))
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
				boards.onOrder = func(board string, do Do) []supervisor.Event {
					events := play(board, do)
					if do == DoFinish {
						status := Report{Kind: KindStatus, Satellite: 1, Status: &test.status}
						events = append([]supervisor.Event{recorded(board, called), recorded(board, answered), reportOf(board, status)}, events...)
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
