// Package supervisor keeps the boards of a station running, as systemd keeps
// EVerest running on each board: a board that ends is started again, after a pause
// that grows with each start that fails.
//
// Each board is a process of this same program. It gets its orders, one JSON value
// a line, from its standard input; its standard output is its reports, its standard
// error its log. A board ends with its orders, and so with this process, whatever
// ends it.
package supervisor

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// firstPause is the pause before a board is started again. It doubles up to
	// maxPause with each start that fails.
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	// MaxStarts is how often a board may end before it is ready, one time after the
	// other, before the supervisor gives it up.
	MaxStarts = 5
	// stopLimit is how long boards have to end in order before they are killed.
	stopLimit = 5 * time.Second
)

// ErrStopped is the end of a process that ended in order.
var ErrStopped = errors.New("exit status 0")

// Event is what happened to a board: one of its fields is set.
type Event struct {
	Board  string
	Report []byte // a line of the standard output
	Line   string // a line of the standard error
	// Started is set when the board is started again.
	Started bool
	// Ended is the end of the process, whose other events come before.
	Ended error
	// GivenUp is set when the board is not started any more, though it was not
	// stopped.
	GivenUp error
}

// Process is a board's process.
type Process interface {
	// Order sends an order. A process that has ended does not get it.
	Order(order any)
	// Stop ends the orders, and so the process.
	Stop()
	// Kill ends the process at once.
	Kill()
	// Wait waits until the process has ended, and returns how.
	Wait() error
}

// Start starts a board's process. Emit delivers its reports and lines.
type Start func(board string, emit func(Event)) (Process, error)

// Supervisor keeps boards running. Its methods are safe for concurrent use.
type Supervisor struct {
	start   Start
	events  chan Event
	running sync.WaitGroup
	// stopping is closed by Close.
	stopping chan struct{}

	mu     sync.Mutex
	boards map[string]*board
}

// board is the state of one board.
type board struct {
	process  Process // nil while none runs
	failures int     // ends since the board was last ready
}

// New starts the boards. The caller must take Events until Close has returned.
func New(start Start, names ...string) *Supervisor {
	s := &Supervisor{start: start, events: make(chan Event), boards: map[string]*board{}, stopping: make(chan struct{})}
	for _, name := range names {
		s.boards[name] = new(board)
	}
	for _, name := range names {
		s.running.Go(func() { s.keep(name) })
	}
	return s
}

// Events returns the events of all boards. The channel is closed by Close.
func (s *Supervisor) Events() <-chan Event { return s.events }

func (s *Supervisor) emit(event Event) { s.events <- event }

// keep is the life of one board.
func (s *Supervisor) keep(name string) {
	for {
		process, err := s.startBoard(name)
		if err != nil {
			s.emit(Event{Board: name, GivenUp: fmt.Errorf("cannot start %s: %w", name, err)})
			return
		}
		if process == nil {
			return
		}
		ended := process.Wait()
		pause, again := s.ended(name)
		s.emit(Event{Board: name, Ended: ended})
		if !again {
			s.emit(Event{Board: name, GivenUp: fmt.Errorf("%s does not become ready, gave up after %d starts", name, MaxStarts)})
			return
		}
		select {
		case <-time.After(pause):
			s.emit(Event{Board: name, Started: true})
		case <-s.stopping:
			return
		}
	}
}

// startBoard starts a board, or returns nil when the supervisor ends.
func (s *Supervisor) startBoard(name string) (Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopping:
		return nil, nil
	default:
	}
	process, err := s.start(name, func(event Event) {
		event.Board = name
		s.emit(event)
	})
	if err == nil {
		s.boards[name].process = process
	}
	return process, err
}

// ended records the end of a board's process. It returns the pause before the next
// start, and false after too many that failed.
func (s *Supervisor) ended(name string) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	board := s.boards[name]
	board.process = nil
	pause := min(firstPause<<board.failures, maxPause)
	board.failures++
	return pause, board.failures < MaxStarts
}

// Ready records that the board is ready: the pause before its next start is the
// first one again.
func (s *Supervisor) Ready(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boards[name].failures = 0
}

// Order sends an order to a board. A board that does not run does not get it.
func (s *Supervisor) Order(name string, order any) {
	if process := s.process(name); process != nil {
		process.Order(order)
	}
}

// Kill kills a board, and reports whether it runs.
func (s *Supervisor) Kill(name string) bool {
	process := s.process(name)
	if process != nil {
		process.Kill()
	}
	return process != nil
}

func (s *Supervisor) process(name string) Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boards[name].process
}

// Close lets every board end in order, kills those that do not within some
// seconds, and closes Events.
func (s *Supervisor) Close() {
	s.mu.Lock()
	close(s.stopping)
	s.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		s.running.Wait()
		close(stopped)
	}()
	s.each(Process.Stop)
	select {
	case <-stopped:
	case <-time.After(stopLimit):
		s.each(Process.Kill)
		<-stopped
	}
	close(s.events)
}

func (s *Supervisor) each(do func(Process)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, board := range s.boards {
		if board.process != nil {
			do(board.process)
		}
	}
}
