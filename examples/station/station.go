package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
)

const (
	// readyLimit is how long -once waits until all boards have met. An agent that
	// notices nothing waits 60 s before it gives its controller up.
	readyLimit = 90 * time.Second
	// settleLimit is how long nothing may happen at the end until what has not
	// arrived counts as missing.
	settleLimit = 10 * time.Second
	// roundSlack is what a round may take beyond its recorded length.
	roundSlack = 60 * time.Second
	// roundPause separates one round from the next.
	roundPause = time.Second
	// maxProblems is how many are remembered for the summary.
	maxProblems = 1000
	// stopLimit is how long boards have to end in order.
	stopLimit = 5 * time.Second
)

// errPlayed is the end of -once where nothing is missing.
var errPlayed = errors.New("played")

// errInterrupted is the end that the user asked for: with -once it comes before
// it is known whether everything arrives.
var errInterrupted = errors.New("interrupted before everything was played")

// errUnbalanced is the end of -once where something is missing. The summary says
// what.
var errUnbalanced = errors.New("not everything arrived as it was sent")

// boardProcess is a board's process as the station sees it.
type boardProcess interface {
	Order(Order)
	Stop()
	Kill()
}

// Station starts the boards, restarts those that end, lets them play rounds, and
// keeps the ledger. All of it happens in Run's goroutine.
type Station struct {
	flags  Flags
	length time.Duration // of a round, recorded
	start  func(BoardConfig) (boardProcess, error)
	events <-chan Event
	view   View
	began  time.Time

	boards  []*boardState
	round   round
	rounds  int // rounds played to their end
	totals  map[int]*ledger.Totals
	agenda  agenda
	stop    error // why Run ends, nil while it does not
	planned bool  // -kill is on the agenda
	relayed bool  // the first variable has been relayed
	// flapping cuts the links, nil without -flap.
	flapping *forwarder.Flapping
	costs    costs
	// problems are of all rounds, for the summary.
	problems []string
}

// boardState is what the station knows about one board.
type boardState struct {
	config   BoardConfig
	process  boardProcess // nil while none runs
	ready    bool
	restarts int
	backoff  Backoff
	// lastWords are the error that the board's process ended with.
	lastWords string
	// links are the states of the board's link modules, by satellite.
	links map[int]Status
	// resumed counts the resumes of links of processes that have ended.
	resumed uint64
	// lastVariable arrived on the main board from this satellite.
	lastVariable time.Time
}

// NewStation prepares a station. The events are those of the processes that
// start starts.
func NewStation(flags Flags, boards []BoardConfig, length time.Duration, start func(BoardConfig) (boardProcess, error), events <-chan Event, view View) *Station {
	s := &Station{
		flags: flags, length: length, start: start, events: events, view: view,
		began: time.Now(), totals: map[int]*ledger.Totals{}, round: round{phase: phaseWaiting},
	}
	for _, config := range boards {
		s.boards = append(s.boards, &boardState{config: config, links: map[int]Status{}})
		if config.Satellite > 0 {
			s.totals[config.Satellite] = new(ledger.Totals)
		}
	}
	return s
}

// Run is the station's life. It returns nil when the context ended, or with -once
// when everything arrived; no board runs any more then.
func (s *Station) Run(ctx context.Context) error {
	for _, board := range s.boards {
		s.startBoard(board)
	}
	s.expectReady()
	redraw := time.NewTicker(200 * time.Millisecond)
	defer redraw.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.stop == nil {
		next, ok := s.agenda.run(time.Now())
		if s.stop != nil {
			break
		}
		if !ok {
			next = time.Now().Add(time.Hour)
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			s.stop = errInterrupted
		case event := <-s.events:
			s.take(event)
		case <-redraw.C:
			s.view.Update(s.snapshot())
		case <-timer.C:
		}
	}
	s.countCurrent()
	s.view.Update(s.snapshot())
	s.stopBoards()
	s.view.Close()
	if errors.Is(s.stop, errPlayed) || errors.Is(s.stop, errInterrupted) && !s.flags.Once {
		return nil
	}
	return s.stop
}

func (s *Station) startBoard(board *boardState) {
	process, err := s.start(board.config)
	if err != nil {
		s.stop = err
		return
	}
	board.process = process
}

// take is what happens when a board says something or ends.
func (s *Station) take(event Event) {
	board := s.board(event.Board)
	switch {
	case event.Ended != nil:
		s.boardEnded(board, event.Ended)
	case event.Report != nil:
		s.takeReport(board, *event.Report)
	default:
		if words, ok := strings.CutPrefix(event.Line, errorPrefix); ok {
			board.lastWords = words
		}
		s.view.Line(event.Board + ": " + event.Line)
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
		board.backoff.Ready()
		s.view.Line(fmt.Sprintf("%s is ready", board.config.Name))
		s.beginRound()
		return
	case KindStatus:
		s.takeTraffic(board, report)
		board.links[report.Satellite] = *report.Status
		return
	case KindCost:
		s.costs.add(report)
		return
	case KindEntry:
		s.noteArrival(*report.Entry)
	case KindProblem:
		s.problem(board.config.Name + ": " + report.Label)
	}
	s.takeTraffic(board, report)
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
		s.view.Line(fmt.Sprintf("the first variable was relayed %.2f s after the start", time.Since(s.began).Seconds()))
	}
}

// resumesOf counts how often a satellite's link went on, also in processes of its
// board that have ended since.
func (b *boardState) resumesOf(satellite int) uint64 { return b.resumed + b.links[satellite].Resumes }

// boardEnded restarts a board as systemd would.
func (s *Station) boardEnded(board *boardState, ended error) {
	wasReady := board.ready
	board.process, board.ready = nil, false
	board.resumed = board.resumesOf(board.config.Satellite)
	clear(board.links)
	text := fmt.Sprintf("%s ended: %v", board.config.Name, ended)
	if board.lastWords != "" {
		text += ": " + board.lastWords
	}
	if wasReady && !s.round.broken {
		s.problem(text)
	} else {
		s.view.Line(text)
	}
	s.round.broken = true
	s.interruptRound()
	wait, again := board.backoff.Ended()
	if !again {
		s.stop = fmt.Errorf("%s does not become ready, gave up after %d starts: %s", board.config.Name, startLimit, board.lastWords)
		return
	}
	s.agenda.add(time.Now().Add(wait), func() {
		board.restarts++
		board.lastWords = ""
		s.view.Line(fmt.Sprintf("starting %s again", board.config.Name))
		s.startBoard(board)
	})
}

func (s *Station) problem(text string) {
	s.view.Line(text)
	// A station that runs for days in trouble must not fill the memory with it.
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, text)
	}
}

// expectReady ends -once where the boards do not meet in time.
func (s *Station) expectReady() {
	if !s.flags.Once {
		return
	}
	waiting := s.round.number
	s.agenda.add(time.Now().Add(readyLimit), func() {
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

// stopBoards lets every board end in order, and kills those that do not.
func (s *Station) stopBoards() {
	running := 0
	for _, board := range s.boards {
		if board.process != nil {
			board.process.Stop()
			running++
		}
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	for running > 0 {
		select {
		case event := <-s.events:
			switch {
			case event.Ended != nil:
				s.board(event.Board).process = nil
				running--
			case event.Report == nil:
			case event.Report.Kind == KindStatus, event.Report.Kind == KindCost:
				s.takeReport(s.board(event.Board), *event.Report)
			}
		case <-limit.C:
			for _, board := range s.boards {
				if board.process != nil {
					s.view.Line(board.config.Name + " does not end and is killed")
					board.process.Kill()
				}
			}
		}
	}
}

// Summary writes the table at the end, and what is missing.
func (s *Station) Summary(w io.Writer) { writeSummary(w, s) }
