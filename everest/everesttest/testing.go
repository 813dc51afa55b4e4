package everesttest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Patience is how long the helpers wait for something that must happen. It is no measure of speed: a busy machine is slow.
const Patience = 60 * time.Second

// NewManager starts a manager that ends with the test. Without a broker in the configuration it has one of its own.
func NewManager(t testing.TB, config ManagerConfig) *Manager {
	t.Helper()
	if config.Broker == (everest.Broker{}) {
		config.Broker = NewBroker(t)
	}
	if _, given := givenBroker(t); given && config.EverestPrefix == "" {
		config.EverestPrefix = "everesttest-" + rand.Text()[:8]
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
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

// NewRecorder starts a recorder of everything below the filters that ends with the test.
func NewRecorder(t testing.TB, broker everest.Broker, filters ...string) *Recorder {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	recorder, err := StartRecorder(ctx, broker, filters...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorder.Close() })
	return recorder
}

// WaitReady waits until all modules of the manager are ready; the test fails where they do not become so.
func WaitReady(t testing.TB, manager *Manager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := manager.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// RunModule connects a module, lets prepare register its handlers and subscriptions, and runs it until the test ends. An
// error of the module fails the test. It returns when the module runs, which is not yet when all modules are ready.
func RunModule(t testing.TB, options everest.Options, prepare func(*everest.Module)) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
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

// Process is something that runs beside a test.
type Process struct {
	// Module is the running module where RunModule has made it, else nil.
	Module *everest.Module

	cancel context.CancelFunc
	ended  context.Context // done when it has ended
	err    error
	expect sync.Once
}

// Run calls run on a goroutine of its own with a context that ends with the test, and then waits for it. An error other than
// that of the context fails the test, unless Wait or Stop has asked for it. name stands before the error.
func Run(t testing.TB, name string, run func(context.Context) error) *Process {
	t.Helper()
	// The test's own context ends before its cleanups run, and in an order that does not suit modules on one broker.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended, end := context.WithCancel(context.WithoutCancel(t.Context()))
	process := &Process{cancel: cancel, ended: ended}
	go func() {
		defer end()
		process.err = run(ctx)
	}()
	t.Cleanup(func() {
		process.expect.Do(func() {
			cancel()
			<-process.Done()
			if process.err != nil && !errors.Is(process.err, context.Canceled) {
				t.Errorf("%s: %v", name, process.err)
			}
		})
	})
	return process
}

// Stop ends what runs and returns its error.
func (p *Process) Stop() error {
	p.cancel()
	<-p.Done()
	p.expect.Do(func() {})
	return p.err
}

// Wait waits until it has ended by itself and returns its error, or the context's.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.Done():
		p.expect.Do(func() {})
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.ended.Done() }

// NewProxy starts a proxy to the broker that ends with the test.
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
