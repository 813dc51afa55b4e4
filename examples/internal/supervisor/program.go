package supervisor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// program is a board's process.
type program struct {
	command *exec.Cmd
	orders  io.WriteCloser
	reading sync.WaitGroup
}

// Program returns a Start that starts boards as processes of this program, with an
// argument, the board's name behind it, and a first order.
func Program(argument string, first func(board string) any) Start {
	return func(board string, emit func(Event)) (Process, error) {
		p, reports, lines, err := startProgram(argument, board)
		if err != nil {
			return nil, err
		}
		p.reading.Go(func() { scanLines(lines, func(line []byte) { emit(Event{Line: string(line)}) }) })
		p.reading.Go(func() { scanLines(reports, func(line []byte) { emit(Event{Report: append([]byte(nil), line...)}) }) })
		p.Order(first(board))
		return p, nil
	}
}

func startProgram(argument, board string) (p *program, reports, lines io.Reader, err error) {
	own, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	p = &program{command: exec.Command(own, argument, board)}
	if p.orders, err = p.command.StdinPipe(); err != nil {
		return nil, nil, nil, err
	}
	if reports, err = p.command.StdoutPipe(); err != nil {
		return nil, nil, nil, err
	}
	if lines, err = p.command.StderrPipe(); err != nil {
		return nil, nil, nil, err
	}
	return p, reports, lines, p.command.Start()
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

// Order sends an order as one line of JSON.
func (p *program) Order(order any) { _ = json.NewEncoder(p.orders).Encode(order) }

// Stop closes the standard input.
func (p *program) Stop() { _ = p.orders.Close() }

// Kill sends SIGKILL.
func (p *program) Kill() { _ = p.command.Process.Kill() }

// Wait waits for the end of the output, and of the process.
func (p *program) Wait() error {
	p.reading.Wait()
	if err := p.command.Wait(); err != nil {
		return err
	}
	return ErrStopped
}

// RunChild runs a process of this program that reports and logs where the caller
// does. Its standard input is the configuration, and ends with ctx.
func RunChild(ctx context.Context, argument, name string, config any) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(own, argument, name)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	// A process that has ended does not read; Wait returns its end.
	_ = json.NewEncoder(input).Encode(config)
	stop := context.AfterFunc(ctx, func() { input.Close() })
	defer stop()
	if err := command.Wait(); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return fmt.Errorf("%s ended unasked", name)
	}
	return nil
}

// ReadInput reads the first value of a process's standard input into first, and
// returns the values after it and a context that ends with the input.
func ReadInput[T any](ctx context.Context, input io.Reader, first *T) (context.Context, <-chan T, error) {
	decoder := json.NewDecoder(input)
	if err := decoder.Decode(first); err != nil {
		return nil, nil, err
	}
	ctx, ended := context.WithCancelCause(ctx)
	values := make(chan T)
	// Reading the standard input cannot be ended; the process ends over it.
	go func() {
		defer ended(ErrStopped)
		for {
			var next T
			if decoder.Decode(&next) != nil {
				return
			}
			select {
			case values <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, values, nil
}
