package hook

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// The errors of a call whose hook gave no result.
var (
	// errPanicked means that the hook has panicked.
	errPanicked = errors.New("hook panicked")
	// errHangs means that the hook exceeded its limit, or that an earlier call of it has not returned since.
	errHangs = errors.New("hook hangs")
)

// guard calls hooks, each under a name. A name has one goroutine at most.
type guard struct {
	log *zap.Logger
	// ctx ends with the module.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	calls   map[string]*guarded
	running sync.WaitGroup

	panics, hangs, skipped atomic.Uint64
}

// guarded is a hook. turn has an element while the hook runs.
type guarded struct {
	name string
	turn chan struct{}
	// number is that of the running call, and changes with its end. hanging: that call has exceeded its limit. panicked
	// and hung: that was logged. guard.mu guards them.
	number                  uint64
	hanging, panicked, hung bool
}

func newGuard(log *zap.Logger) *guard {
	ctx, cancel := context.WithCancel(context.Background())
	return &guard{log: log, ctx: ctx, cancel: cancel, calls: map[string]*guarded{}}
}

func (g *guard) hook(name string) *guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.calls[name] == nil {
		g.calls[name] = &guarded{name: name, turn: make(chan struct{}, 1)}
	}
	return g.calls[name]
}

// call calls fn and waits until fn returns, the limit has passed or ctx ends. It waits for its turn where the hook runs,
// and does not call fn where that one has exceeded its limit. The context of fn ends with ctx and with the limit.
func (g *guard) call(ctx context.Context, name string, limit time.Duration, fn func(context.Context) error) error {
	h := g.hook(name)
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !g.enter(waiting, h) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		g.skipped.Add(1)
		return fmt.Errorf("%w: %s", errHangs, name)
	}
	return g.begin(ctx, h, limit, fn)
}

// try calls fn without waiting for it, and leaves the call out where the hook runs.
func (g *guard) try(name string, limit time.Duration, fn func()) {
	h := g.hook(name)
	select {
	case h.turn <- struct{}{}:
		g.start(g.ctx, h, limit, func(context.Context) error {
			fn()
			return nil
		})
	default:
		g.skipped.Add(1)
	}
}

// enter waits for the hook's turn, and reports whether it has come.
func (g *guard) enter(ctx context.Context, h *guarded) bool {
	g.mu.Lock()
	hanging := h.hanging
	g.mu.Unlock()
	if hanging {
		return false
	}
	select {
	case h.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (g *guard) begin(ctx context.Context, h *guarded, limit time.Duration, fn func(context.Context) error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	select {
	case err := <-g.start(ctx, h, limit, fn):
		return err
	case <-limited.Done():
		return fmt.Errorf("%w: %s", errHangs, h.name)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start calls fn on a goroutine of its own, which gives up the turn. The channel gets one value.
func (g *guard) start(ctx context.Context, h *guarded, limit time.Duration, fn func(context.Context) error) <-chan error {
	done := make(chan error, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		<-h.turn
		done <- context.Canceled
		return done
	}
	h.number++
	number := h.number
	overdue := time.AfterFunc(limit, func() { g.exceeded(h, number, limit) })
	g.running.Go(func() {
		// The caller may give up at any time, and the module's end ends every hook.
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		defer context.AfterFunc(g.ctx, cancel)()
		var err error
		returned := false
		defer func() {
			if !returned { // after a panic, or runtime.Goexit
				err = g.panicked(h, recover())
			}
			overdue.Stop()
			g.returned(h)
			done <- err
		}()
		err = fn(limited)
		returned = true
	})
	return done
}

// panicked counts and logs a panic. The reason is nil for a hook that has ended its goroutine.
func (g *guard) panicked(h *guarded, reason any) error {
	g.panics.Add(1)
	if g.isFirst(&h.panicked) {
		g.log.Error("a hook of this fork panicked, and the module goes on without its result: correct the hook",
			zap.String("hook", h.name), zap.Any("panic", reason), zap.ByteString("stack", debug.Stack()))
	}
	return fmt.Errorf("%w: %s: %v", errPanicked, h.name, reason)
}

func (g *guard) isFirst(logged *bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := !*logged
	*logged = true
	return first
}

// exceeded follows a call that has not returned within its limit.
func (g *guard) exceeded(h *guarded, number uint64, limit time.Duration) {
	g.mu.Lock()
	isRunning := h.number == number
	h.hanging = h.hanging || isRunning
	g.mu.Unlock()
	if !isRunning {
		return // it has returned at this very moment
	}
	g.hangs.Add(1)
	if g.isFirst(&h.hung) {
		g.log.Error("a hook of this fork hangs, and the module goes on without it until it returns: let it return at the end of its context, or move its work to Own.Go",
			zap.String("hook", h.name), zap.Duration("wait", limit))
	}
}

// returned gives up the turn.
func (g *guard) returned(h *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.number++
	h.hanging = false
	<-h.turn
}

// unlimited runs fn until the module ends.
func (g *guard) unlimited(name string, fn func(context.Context)) {
	h := g.hook(name)
	g.run(func() {
		returned := false
		defer func() {
			if !returned {
				_ = g.panicked(h, recover()) // it is logged
			}
		}()
		fn(g.ctx)
		returned = true
	})
}

// run calls fn on a goroutine that close waits for. It reports false, and calls nothing, once the guard is closed.
func (g *guard) run(fn func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.running.Go(fn)
	}
	return !g.closed
}

// stopTime bounds how long close waits for hooks that run.
const stopTime = 2 * time.Second

// close ends the contexts of all hooks, and waits for them for stopTime at most.
func (g *guard) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		g.log.Error("hooks of this fork still run at the module's end: let them return at the end of their context")
	}
}

func (g *guard) stats() Stats {
	return Stats{Panics: g.panics.Load(), Hangs: g.hangs.Load(), Skipped: g.skipped.Load()}
}
