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

// Outcome is what became of a command or a push on the satellite.
type Outcome struct {
	Value json.RawMessage
	Err   *everest.CommandError
	// Resets: the board is about to go down, and the connection ends after the reply.
	Resets bool
}

// executor runs the commands of a satellite. Each ends at the latest when the executor is closed. In v2 a number is
// executed once, and the execution outlives the connection on which it came. The zero value is ready.
type executor struct {
	mu      sync.Mutex
	closed  bool
	cancels map[*context.CancelFunc]struct{}
	ledger  handshake.Ledger[Outcome]
	numbers map[uint64]*execution
	running sync.WaitGroup
}

// execution is a numbered command under way.
type execution struct {
	cancel context.CancelFunc
	// done is closed when outcome is there.
	done    chan struct{}
	outcome Outcome
}

// run executes a command within a limit of time and returns its outcome.
func (x *executor) run(ctx context.Context, limit time.Duration, do func(context.Context) Outcome) Outcome {
	ctx, cancel := x.begin(ctx, limit)
	defer x.end(cancel)
	return do(ctx)
}

// runOnce executes a number if it comes for the first time, and waits for the outcome. The outcome of a number never
// changes. The error is a Refusal, or that nobody waits for the outcome any more.
func (x *executor) runOnce(ctx context.Context, call numbered, limit time.Duration, do func(context.Context) Outcome) (Outcome, error) {
	started, outcome, err := x.start(call, limit, do)
	if err != nil || started == nil {
		return outcome, err
	}
	select {
	case <-started.done:
		return started.outcome, nil
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}

// start returns the execution of a number, or nil and its outcome.
func (x *executor) start(call numbered, limit time.Duration, do func(context.Context) Outcome) (*execution, Outcome, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, Outcome{}, net.ErrClosed
	}
	x.ledger.Acknowledge(call.floor)
	outcome, verdict := x.ledger.Begin(call.number)
	switch verdict {
	case handshake.Forgotten:
		return nil, Outcome{}, Forgotten
	case handshake.Cancelled:
		return nil, Outcome{}, Cancelled
	case handshake.Refused:
		return nil, Outcome{}, TooMany
	case handshake.Finished:
		return nil, outcome, nil
	case handshake.Running:
		return x.numbers[call.number], Outcome{}, nil
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
	return started, Outcome{}, nil
}

func (x *executor) finish(number uint64, ended *execution) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ledger.Finish(number, ended.outcome, len(ended.outcome.Value)+64)
	delete(x.numbers, number)
	close(ended.done)
}

// cancel ends a numbered command, or keeps one that has not come from being executed.
func (x *executor) cancel(number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if running := x.numbers[number]; running != nil {
		running.cancel()
	} else {
		x.ledger.Cancel(number)
	}
}

// acknowledge forgets the outcomes below a number.
func (x *executor) acknowledge(floor uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ledger.Acknowledge(floor)
}

// begin derives the context of a command, which ends with the executor. The caller must call end.
func (x *executor) begin(ctx context.Context, limit time.Duration) (context.Context, *context.CancelFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.beginLocked(ctx, limit)
}

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

// end ends the context of a command.
func (x *executor) end(cancel *context.CancelFunc) {
	(*cancel)()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.cancels, cancel)
}

// isClosed reports whether the executor was closed.
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
