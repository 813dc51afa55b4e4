package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// An Event is what the station learns about a board's process: a report, a line
// of its log, or its end. The end is the last event of a process.
type Event struct {
	Board  string
	Report *Report
	Line   string
	Ended  error // never nil at the end
}

// Processes starts boards as processes of this same program, and hands on what
// they say. They end with this process, whatever ends it.
type Processes struct {
	events  chan<- Event
	starts  chan func()
	running sync.WaitGroup
	starter sync.WaitGroup
}

// NewProcesses delivers to events. Close waits for every process, so somebody
// has to take events until Close has returned.
func NewProcesses(events chan<- Event) *Processes {
	p := &Processes{events: events, starts: make(chan func())}
	p.starter.Go(func() {
		// The kernel ends a child when the thread that started it ends, not the
		// process; so all are started by one thread that is kept.
		runtime.LockOSThread()
		for start := range p.starts {
			start()
		}
	})
	return p
}

// Process is one board's process.
type Process struct {
	command *exec.Cmd
	mu      sync.Mutex
	orders  io.WriteCloser
}

// Start starts a board's process and tells it what it is.
func (p *Processes) Start(board BoardConfig) (*Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", board.Name, err)
	}
	command := exec.Command(program, boardArgument, board.Name)
	endWithParent(command)
	orders, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	reports, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	lines, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	p.starts <- func() { started <- command.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", board.Name, err)
	}
	process := &Process{command: command, orders: orders}
	p.running.Go(func() { p.follow(board.Name, process, reports, lines) })
	process.Order(Order{Board: &board})
	return process, nil
}

// follow hands on what a process says until it has ended.
func (p *Processes) follow(board string, process *Process, reports, lines io.Reader) {
	var reading sync.WaitGroup
	reading.Go(func() {
		scanLines(lines, func(line []byte) { p.events <- Event{Board: board, Line: string(line)} })
	})
	reading.Go(func() {
		scanLines(reports, func(line []byte) {
			report := new(Report)
			if err := json.Unmarshal(line, report); err != nil {
				// A killed board may have been in the middle of its last line.
				p.events <- Event{Board: board, Line: fmt.Sprintf("unreadable report: %q", line)}
				return
			}
			p.events <- Event{Board: board, Report: report}
		})
	})
	reading.Wait()
	err := process.command.Wait()
	if err == nil {
		err = errStopped
	}
	p.events <- Event{Board: board, Ended: err}
}

// errStopped is the end of a board that was told to stop.
var errStopped = fmt.Errorf("exit status 0")

func scanLines(from io.Reader, line func([]byte)) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line(scanner.Bytes())
	}
	// The process must be able to go on writing whatever it wrote.
	_, _ = io.Copy(io.Discard, from)
}

// Order tells the board something. A board that has ended does not hear it; its
// end is an event of its own.
func (p *Process) Order(order Order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(p.orders).Encode(order)
}

// Stop lets the board end in order.
func (p *Process) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.orders.Close()
}

// Kill ends the board at once.
func (p *Process) Kill() { _ = p.command.Process.Kill() }

// Close waits until every process has ended. Stop or kill them first.
func (p *Processes) Close() {
	p.running.Wait()
	close(p.starts)
	p.starter.Wait()
}

// orders reads what the station says, until it says no more or is gone.
func orders(ctx context.Context, from io.Reader) <-chan Order {
	out := make(chan Order)
	go func() {
		defer close(out)
		decoder := json.NewDecoder(from)
		for {
			var order Order
			if decoder.Decode(&order) != nil {
				return
			}
			select {
			case out <- order:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
