package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// errStopped is the end of a board that the station stopped.
var errStopped = errors.New("exit status 0")

// Processes starts boards as processes of this same program, and delivers their
// reports, lines and ends as events. A board ends with its orders, and so with
// this process, whatever ends it.
type Processes struct {
	events  chan<- Event
	running sync.WaitGroup
}

// Process is one board's process.
type Process struct {
	command *exec.Cmd
	orders  io.WriteCloser
}

// Start starts a board's process and sends it its configuration.
func (p *Processes) Start(board BoardConfig) (boardProcess, error) {
	process, reports, lines, err := start(board)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", board.Name, err)
	}
	p.running.Go(func() { p.follow(board.Name, process, reports, lines) })
	process.Order(Order{Board: &board})
	return process, nil
}

func start(board BoardConfig) (process *Process, reports, lines io.Reader, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	command := exec.Command(program, boardArgument, board.Name)
	orders, err := command.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	if reports, err = command.StdoutPipe(); err != nil {
		return nil, nil, nil, err
	}
	if lines, err = command.StderrPipe(); err != nil {
		return nil, nil, nil, err
	}
	return &Process{command: command, orders: orders}, reports, lines, command.Start()
}

// follow delivers the events of a process until it has ended.
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

func scanLines(from io.Reader, line func([]byte)) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line(scanner.Bytes())
	}
	// The process must not block on output that the scanner does not take.
	_, _ = io.Copy(io.Discard, from)
}

// Order sends the board an order. A board that has ended does not get it; its end
// is an event of its own.
func (p *Process) Order(order Order) { _ = json.NewEncoder(p.orders).Encode(order) }

// Stop lets the board end in order.
func (p *Process) Stop() { _ = p.orders.Close() }

// Kill ends the board at once.
func (p *Process) Kill() { _ = p.command.Process.Kill() }
