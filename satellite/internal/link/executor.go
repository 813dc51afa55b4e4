package link

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// commandOutcome is the outcome of a command or a push on the satellite.
type commandOutcome struct {
	value json.RawMessage
	err   *everest.CommandError
	// resets marks a command that resets the board: the connection ends after the reply.
	resets bool
}

// executor executes the controller's commands. Closing it ends all of them. In v2 it executes each number once, and an
// execution outlives the connection of its call. The zero value is ready.
type executor struct {
	mu      sync.Mutex
	closed  bool
	cancels map[*context.CancelFunc]struct{}
	ledger  handshake.Ledger[commandOutcome]
	numbers map[uint64]*execution
	running sync.WaitGroup
}

// execution is a numbered command under way.
type execution struct {
	cancel context.CancelFunc
	// done is closed when outcome is there.
	done    chan struct{}
	outcome commandOutcome
}

// run executes a command within a limit of time and returns its outcome.
func (x *executor) run(ctx context.Context, limit time.Duration, do func(context.Context) commandOutcome) commandOutcome {
	x.mu.Lock()
	ctx, cancel := x.beginLocked(ctx, limit)
	x.mu.Unlock()
	defer x.end(cancel)
	return do(ctx)
}

// runOnce executes a numbered call, unless it was executed before, and returns the outcome of that one execution. The
// error is a refusal, net.ErrClosed after close, or the context's.
func (x *executor) runOnce(ctx context.Context, call numbered, limit time.Duration, do func(context.Context) commandOutcome) (commandOutcome, error) {
	started, outcome, err := x.start(call, limit, do)
	if err != nil || started == nil {
		return outcome, err
	}
	select {
	case <-started.done:
		return started.outcome, nil
	case <-ctx.Done():
		return commandOutcome{}, ctx.Err()
	}
}

// start returns the execution of a number, or nil and its outcome.
func (x *executor) start(call numbered, limit time.Duration, do func(context.Context) commandOutcome) (*execution, commandOutcome, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, commandOutcome{}, net.ErrClosed
	}
	x.ledger.Acknowledge(call.floor)
	outcome, verdict := x.ledger.Begin(call.number)
	switch verdict {
	case handshake.Forgotten:
		return nil, commandOutcome{}, forgotten
	case handshake.Cancelled:
		return nil, commandOutcome{}, cancelled
	case handshake.Refused:
		return nil, commandOutcome{}, tooMany
	case handshake.Finished:
		return nil, outcome, nil
	case handshake.Running:
		return x.numbers[call.number], commandOutcome{}, nil
	}
	ctx, cancel := x.beginLocked(context.Background(), limit)
	started := &execution{cancel: *cancel, done: make(chan struct{})}
	if x.numbers == nil {
		x.numbers = make(map[uint64]*execution)
	}
	x.numbers[call.number] = started
	x.running.Go(func() {
		defer x.end(cancel)
		started.outcome = do(ctx)
		x.finish(call.number, started)
	})
	return started, commandOutcome{}, nil
}

func (x *executor) finish(number uint64, ended *execution) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ledger.Finish(number, ended.outcome, len(ended.outcome.value)+64)
	delete(x.numbers, number)
	close(ended.done)
}

// cancel ends a numbered command. A command that has not come yet will not be executed.
func (x *executor) cancel(number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if running := x.numbers[number]; running != nil {
		running.cancel()
	} else {
		x.ledger.Cancel(number)
	}
}

// acknowledge forgets the outcomes of the numbers below floor.
func (x *executor) acknowledge(floor uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ledger.Acknowledge(floor)
}

// beginLocked returns the context of a command. Closing the executor ends the context. The caller must call end.
func (x *executor) beginLocked(ctx context.Context, limit time.Duration) (context.Context, *context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	if x.closed {
		cancel()
	}
	if x.cancels == nil {
		x.cancels = make(map[*context.CancelFunc]struct{})
	}
	x.cancels[&cancel] = struct{}{}
	return ctx, &cancel
}

func (x *executor) end(cancel *context.CancelFunc) {
	(*cancel)()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.cancels, cancel)
}

func (x *executor) isClosed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closed
}

// close ends all commands and waits for the numbered ones.
func (x *executor) close() {
	x.mu.Lock()
	x.closed = true
	for cancel := range x.cancels {
		(*cancel)()
	}
	x.mu.Unlock()
	x.running.Wait()
}
