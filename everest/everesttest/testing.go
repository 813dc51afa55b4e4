package everesttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Patience is how long the helpers wait for an expected event before they fail. They wait no longer than the test may
// run: a little before the deadline of the flag -timeout they fail with their own message. A test program for a busy
// machine sets Patience in TestMain, before the tests run.
var Patience = 10 * time.Second

// deadlineMargin is how long before the test's deadline a wait ends, so that the test can still report it.
const deadlineMargin = 2 * time.Second

// boundedBy returns a context that ends after patience, and before the test's deadline.
func boundedBy(t testing.TB, patience time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now().Add(patience)
	if bound, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, set := bound.Deadline(); set && deadline.Add(-deadlineMargin).Before(end) {
			end = deadline.Add(-deadlineMargin)
		}
	}
	return context.WithDeadlineCause(t.Context(), end, fmt.Errorf("everesttest: %w; see Patience", context.DeadlineExceeded))
}

// NewManager starts a manager that ends with the test. Where the configuration has no broker, NewManager starts one.
func NewManager(t testing.TB, config ManagerConfig) *Manager {
	t.Helper()
	if config.Broker == (everest.Broker{}) {
		config.Broker = NewBroker(t)
	}
	if _, given := givenBroker(t); given && config.EverestPrefix == "" {
		config.EverestPrefix = "everesttest-" + rand.Text()[:8]
	}
	ctx, cancel := boundedBy(t, Patience)
	defer cancel()
	manager, err := StartManager(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := manager.Close(); err != nil {
			t.Error(err)
		}
	})
	return manager
}

// NewRecorder starts a recorder that ends with the test.
func NewRecorder(t testing.TB, broker everest.Broker, filters ...string) *Recorder {
	t.Helper()
	ctx, cancel := boundedBy(t, Patience)
	defer cancel()
	recorder, err := StartRecorder(ctx, broker, filters...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorder.Close() })
	return recorder
}

// WaitReady waits until all modules of the manager are ready. A timeout ends the test.
func WaitReady(t testing.TB, manager *Manager) {
	t.Helper()
	ctx, cancel := boundedBy(t, Patience)
	defer cancel()
	if err := manager.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// RunModule connects a module, calls prepare to register handlers and subscriptions, and runs the module until the test
// ends. It returns before all modules are ready. An error of the module fails the test.
func RunModule(t testing.TB, options everest.Options, prepare func(*everest.Module)) *Process {
	t.Helper()
	ctx, cancel := boundedBy(t, Patience)
	defer cancel()
	module, err := everest.Connect(ctx, options)
	if err != nil {
		t.Fatalf("module %s: %v", options.ModuleID, err)
	}
	if prepare != nil {
		prepare(module)
	}
	process := Run(t, options.ModuleID, module.Run)
	process.Module = module
	return process
}

// Process is a function that runs beside a test.
type Process struct {
	// Module is the module of RunModule, otherwise nil.
	Module *everest.Module

	cancel  context.CancelFunc
	done    chan struct{}
	err     error // set before done is closed
	awaited atomic.Bool
	early   bool // it ended before its context; set before done is closed
	expect  sync.Once
}

// Run calls run on a new goroutine. At the end of the test Run cancels the context of run and waits until run returns.
// An error other than context.Canceled fails the test, unless Wait or Stop has returned the error. The test's failure
// message begins with name.
func Run(t testing.TB, name string, run func(context.Context) error) *Process {
	t.Helper()
	// The test's own context ends before all cleanups, so modules would lose their broker and manager in any order.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	process := &Process{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(process.done)
		process.err = run(ctx)
		process.early = ctx.Err() == nil
	}()
	t.Cleanup(func() {
		process.expect.Do(func() {
			cancel()
			<-process.done
			if process.err != nil && !errors.Is(process.err, context.Canceled) {
				t.Errorf("%s: %v", name, process.err)
			}
		})
	})
	return process
}

// Stop ends the context of the function, waits for the function, and returns its error.
func (p *Process) Stop() error {
	p.cancel()
	<-p.done
	p.expect.Do(func() {})
	p.awaited.Store(true)
	return p.err
}

// Done returns a channel that is closed when the function has returned.
func (p *Process) Done() <-chan struct{} { return p.done }

// endedEarly reports whether the function returned nil by itself, and the test has not asked for that.
func (p *Process) endedEarly() bool { return p.early && p.err == nil && !p.awaited.Load() }

// Wait waits until the function returns, without ending its context, and returns its error. If ctx ends first, Wait
// returns the cause of ctx.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		p.expect.Do(func() {})
		p.awaited.Store(true)
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// NewProxy starts a proxy to broker that ends with the test.
func NewProxy(t testing.TB, broker everest.Broker) *Proxy {
	t.Helper()
	proxy, err := StartProxy(broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

// FreePort returns a free TCP port of 127.0.0.1. It is below the range that Linux assigns by itself, so that no other
// process gets the port by chance before the test uses it.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
