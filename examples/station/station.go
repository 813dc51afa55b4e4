package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/supervisor"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/examples/internal/usage"
)

const (
	// readyLimit is how long -once waits until all boards have met. An agent that
	// notices nothing waits 60 s before it gives its controller up.
	readyLimit = 90 * time.Second
	// maxProblems is how many problems are kept for the summary, so that a station
	// in trouble can run for days.
	maxProblems = 1000
)

var (
	// errPlayed is the end of -once where nothing is missing.
	errPlayed = errors.New("played")
	// errInterrupted is the end that the user asked for: with -once it comes before
	// it is known whether everything arrives.
	errInterrupted = errors.New("interrupted before everything was played")
	// errUnbalanced is the end of -once where something is missing. The summary has
	// the details.
	errUnbalanced = errors.New("not everything arrived as it was sent")
)

// Station lets the boards play rounds and keeps the ledger. All of it happens in
// Run's goroutine; a supervisor restarts boards that end.
type Station struct {
	flags    Flags
	length   time.Duration // of a round, recorded
	start    supervisor.Start
	screen   *terminal.Screen
	flapping *forwarder.Flapping // cuts the links, nil without -flap
	began    time.Time
	shown    time.Time // when lines last showed the state

	supervisor *supervisor.Supervisor
	boards     []*boardState
	round      round
	rounds     int // played to their end
	totals     map[int]*ledger.Totals
	costs      usage.Meter
	stop       error // why Run ends, nil while it does not
	planned    bool  // the kills of -kill are planned
	relayed    bool  // the first variable has been relayed
	// problems are of all rounds, for the summary.
	problems []string
	// due is what after has planned, until over is closed.
	due  chan func()
	over chan struct{}
}

// boardState is the state of one board.
type boardState struct {
	config   BoardConfig
	running  bool
	ready    bool
	restarts int
	// lastWords is the error that the board's process ended with.
	lastWords string
	// links are the states of the board's link modules, by satellite.
	links map[int]Status
	// resumed counts the resumes of links of processes that have ended.
	resumed uint64
	// lastVariable is when a variable of this satellite last arrived on the main board.
	lastVariable time.Time
}

// NewStation prepares a station whose boards start starts.
func NewStation(flags Flags, boards []BoardConfig, length time.Duration, start supervisor.Start, screen *terminal.Screen) *Station {
	s := &Station{
		flags: flags, length: length, start: start, screen: screen,
		began: time.Now(), shown: time.Now(), totals: map[int]*ledger.Totals{}, round: round{phase: phaseWaiting},
		due: make(chan func()), over: make(chan struct{}),
	}
	for _, config := range boards {
		s.boards = append(s.boards, &boardState{config: config, running: true, links: map[int]Status{}})
		if config.Satellite > 0 {
			s.totals[config.Satellite] = new(ledger.Totals)
		}
	}
	return s
}

// Run is the station's life. It returns nil when the context ended, or with -once
// when everything arrived; no board runs any more then.
func (s *Station) Run(ctx context.Context) error {
	var names []string
	for _, board := range s.boards {
		names = append(names, board.config.Name)
	}
	s.supervisor = supervisor.New(s.start, names...)
	s.expectReady()
	redraw := time.NewTicker(200 * time.Millisecond)
	defer redraw.Stop()
	defer close(s.over)
	for s.stop == nil {
		select {
		case <-ctx.Done():
			s.stop = errInterrupted
		case event := <-s.supervisor.Events():
			s.take(event)
		case <-redraw.C:
			s.show()
		case do := <-s.due:
			do()
		}
	}
	s.countCurrent()
	s.show()
	s.screen.Settle()
	s.costs.Measure()
	s.stopBoards()
	if errors.Is(s.stop, errPlayed) || errors.Is(s.stop, errInterrupted) && !s.flags.Once {
		return nil
	}
	return s.stop
}

// after lets Run's goroutine call do once the time has passed.
func (s *Station) after(wait time.Duration, do func()) {
	time.AfterFunc(wait, func() {
		select {
		case s.due <- do:
		case <-s.over:
		}
	})
}

// take handles what a board reports, and its end.
func (s *Station) take(event supervisor.Event) {
	board := s.board(event.Board)
	switch {
	case event.GivenUp != nil:
		s.stop = event.GivenUp
		if board.lastWords != "" {
			s.stop = fmt.Errorf("%w: %s", event.GivenUp, board.lastWords)
		}
	case event.Ended != nil:
		s.boardEnded(board, event.Ended)
	case event.Started:
		board.running, board.lastWords = true, ""
		board.restarts++
		s.screen.Printf("starting %s again", board.config.Name)
	case event.Report != nil:
		var report Report
		if err := json.Unmarshal(event.Report, &report); err != nil {
			// A killed board may have been in the middle of its last line.
			s.screen.Printf("%s: unreadable report: %q", event.Board, event.Report)
			return
		}
		s.takeReport(board, report)
	default:
		if words, ok := strings.CutPrefix(event.Line, errorPrefix); ok {
			board.lastWords = words
		}
		s.screen.Printf("%s: %s", event.Board, event.Line)
	}
}

func (s *Station) board(name string) *boardState {
	for _, board := range s.boards {
		if board.config.Name == name {
			return board
		}
	}
	return nil
}

func (s *Station) takeReport(board *boardState, report Report) {
	switch report.Kind {
	case KindReady:
		board.ready = true
		s.supervisor.Ready(board.config.Name)
		s.costs.Ready(costSort(board.config, false), report.Process)
		s.screen.Printf("%s is ready", board.config.Name)
		s.beginRound()
		return
	case KindStatus:
		if s.flags.Apart && report.Status.working() {
			s.costs.Ready(costSort(board.config, true), report.Process)
		}
	case KindEntry:
		s.noteArrival(*report.Entry)
	case KindProblem:
		s.problem(board.config.Name + ": " + report.Text)
	}
	s.takeTraffic(board, report)
	if report.Kind == KindStatus {
		board.links[report.Satellite] = *report.Status
	}
}

// noteArrival notes when a satellite's variable has arrived on the main board.
func (s *Station) noteArrival(entry ledger.Entry) {
	if entry.Kind != ledger.Arrived {
		return
	}
	if satellite := s.board(satelliteName(entry.Satellite)); satellite != nil {
		satellite.lastVariable = time.Unix(0, entry.At)
	}
	if !s.relayed {
		s.relayed = true
		s.screen.Printf("the first variable was relayed %.2f s after the start", time.Since(s.began).Seconds())
	}
}

// boardEnded handles the end of a board that the station did not stop. Its
// supervisor starts it again.
func (s *Station) boardEnded(board *boardState, ended error) {
	wasReady := board.ready
	board.running, board.ready = false, false
	board.resumed = board.resumes()
	clear(board.links)
	text := fmt.Sprintf("%s ended: %v", board.config.Name, ended)
	if board.lastWords != "" {
		text += ": " + board.lastWords
	}
	if wasReady && !s.round.broken {
		s.problem(text)
	} else {
		s.screen.Printf("%s", text)
	}
	s.round.broken = true
	s.interruptRound()
}

// resumes returns how often a satellite's link was resumed, also in processes of
// its board that have ended since.
func (b *boardState) resumes() uint64 { return b.resumed + b.links[b.config.Satellite].Resumes }

func (s *Station) problem(text string) {
	s.screen.Printf("%s", text)
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, text)
	}
}

// expectReady ends -once if the boards do not meet in time.
func (s *Station) expectReady() {
	if !s.flags.Once {
		return
	}
	waiting := s.round.number
	s.after(readyLimit, func() {
		if s.round.number == waiting && s.round.phase == phaseWaiting {
			s.stop = fmt.Errorf("after %v not every board is ready: %s", readyLimit, strings.Join(s.notReady(), ", "))
		}
	})
}

func (s *Station) notReady() []string {
	var names []string
	for _, board := range s.boards {
		if !board.ready {
			names = append(names, board.config.Name)
		}
	}
	return names
}

// stopBoards lets every board end, and takes what they still report of the link.
func (s *Station) stopBoards() {
	go s.supervisor.Close()
	for event := range s.supervisor.Events() {
		var report Report
		switch {
		case event.Ended != nil && !errors.Is(event.Ended, supervisor.ErrStopped):
			s.screen.Printf("%s ended: %v", event.Board, event.Ended)
		case event.Report != nil && json.Unmarshal(event.Report, &report) == nil && report.Kind == KindStatus:
			s.takeReport(s.board(event.Board), report)
		}
	}
}
