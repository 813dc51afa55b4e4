//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
)

// restartPause is the pause before a board that has ended is started again.
const restartPause = 200 * time.Millisecond

// standInID is the id of the module that this program plays on each board.
const standInID = "station"

// board is one board with its system manager: when any part of it ends, the whole board ends and is started again.
type board struct {
	name     string
	ns       namespace
	folder   string
	embedded bool
	// standalone is set where the module under test, and this program's own, outlive the broker and the manager. front then
	// forwards the module's connection to the broker.
	standalone  bool
	front       *forwarder.Forwarder
	frontSocket string
	// program is the module under test, moduleID its id in the manager's configuration.
	program, moduleID string
	// modules returns the configuration of the modules for the next life.
	modules func() map[string]everesttest.ModuleConfig
	// setUp registers what the stand-in of a life handles and subscribes.
	setUp       func(*life, *everest.Module) error
	definitions *schema.Definitions
	// companion is another module of the same program, by its id; empty for none.
	companion string
	// line is called with each line that the processes write, ended with each end of a life that the campaign did not ask for.
	line  func(string)
	ended func(error)
	// problem is called with a description of each thing that must not happen.
	problem func(string)

	mu      sync.Mutex
	broker  *broker
	manager *everesttest.Manager
	current *life
	changed chan struct{}
	lives   int
}

// life is a board from one start to its end.
type life struct {
	number int
	// ended is closed when the life ends; end ends it.
	ended  <-chan struct{}
	end    context.CancelCauseFunc
	module *process
	// companion is nil where the board has none.
	companion *process
	// standIn is what this program plays.
	standIn *everest.Module
}

// endsSoon waits for the end of a life of which one part has ended. It reports false if the life goes on.
func (l *life) endsSoon(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	select {
	case <-l.ended:
		return true
	case <-ctx.Done():
		return context.Cause(ctx) == context.Canceled
	}
}

// over reports whether the life has ended.
func (l *life) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// during returns a context that ends with the life. The caller must call release.
func (l *life) during() (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-l.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}

// run keeps the board up until the context ends.
func (b *board) run(ctx context.Context) {
	defer func() {
		if b.front != nil {
			b.front.Close()
		}
	}()
	for ctx.Err() == nil {
		err := b.live(ctx)
		if ctx.Err() != nil {
			break
		}
		b.line(fmt.Sprintf("%s: ended: %v", b.name, err))
		b.ended(err)
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
		}
	}
	if b.broker != nil {
		b.broker.stop()
	}
}

// live runs one life of the board, and returns the reason of its end.
func (b *board) live(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if err := b.ensureBroker(); err != nil {
		return err
	}
	manager, err := b.startManager(ctx)
	if err != nil {
		return err
	}
	defer func() { b.manager.Close() }()
	b.mu.Lock()
	b.lives++
	current := &life{number: b.lives, ended: ctx.Done(), end: end}
	b.mu.Unlock()
	defer b.set(nil)

	var running sync.WaitGroup
	defer running.Wait()
	defer end(nil)
	part := func(name string, run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				end(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	part("stand-in", func() error { return b.playStandIn(ctx, current, manager) })
	if current.module, err = b.startModule(manager.Arguments(b.moduleID)); err != nil {
		return err
	}
	defer func() {
		if !current.module.stop() {
			b.problem(b.moduleID + " did not end within 20 s of SIGTERM")
		}
	}()
	var companionEnded chan struct{}
	if b.companion != "" {
		if current.companion, err = startProcess(b.ns, b.companion, func(line string) { b.line(b.companion + ": " + line) },
			b.program, manager.Arguments(b.companion)...); err != nil {
			return err
		}
		companionEnded = current.companion.ended
		defer func() {
			if !current.companion.stop() {
				b.problem(b.companion + " did not end within 20 s of SIGTERM")
			}
		}()
	}
	part("manager", func() error {
		if err := manager.WaitReady(ctx); err != nil {
			return err
		}
		b.set(current)
		return nil
	})
	brokerEnded := b.broker.ended
	if b.standalone {
		brokerEnded = nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-current.module.ended:
		return fmt.Errorf("%s ended: %w", b.moduleID, current.module.err)
	case <-companionEnded:
		return fmt.Errorf("%s ended: %w", b.companion, current.companion.err)
	case <-brokerEnded:
		return errors.New("the broker ended")
	}
}

func (b *board) startManager(ctx context.Context) (*everesttest.Manager, error) {
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker: b.broker.address(), Modules: b.modules(), Definitions: b.definitions,
	})
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	b.manager = manager
	return manager, nil
}

// startModule starts the module under test.
func (b *board) startModule(arguments []string) (*process, error) {
	line := func(line string) { b.line(b.moduleID + ": " + line) }
	if !b.standalone {
		return startProcess(b.ns, b.moduleID, line, b.program, arguments...)
	}
	if b.front == nil {
		front, socket, err := frontOf(b.folder, b.name, func() *broker {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.broker
		})
		if err != nil {
			return nil, err
		}
		b.front, b.frontSocket = front, socket
	}
	arguments = append(arguments, "--mqtt_broker_socket_path", b.frontSocket)
	return startProcessWith(syscall.SIGKILL, b.ns, b.moduleID, line, b.program, arguments...)
}

// endBroker ends the broker in order: it stores its sessions.
func (b *board) endBroker() error {
	if !b.broker.stop() {
		return fmt.Errorf("the broker of %s does not end", b.name)
	}
	return nil
}

// stallBroker stops the broker's process, until end.
func (b *board) stallBroker() (end func() error, err error) {
	stalled := b.broker
	stalled.signal(syscall.SIGSTOP)
	return func() error { stalled.signal(syscall.SIGCONT); return nil }, nil
}

// restartBroker starts a broker again that has ended, and the manager, which has ended with it. It waits until all modules
// are ready.
func (b *board) restartBroker(ctx context.Context) error {
	current, _ := b.alive()
	if current == nil {
		return fmt.Errorf("%s is not up", b.name)
	}
	if err := b.ensureBroker(); err != nil {
		return err
	}
	b.manager.Close() // it has lost its broker
	lifetime, release := current.during()
	defer release()
	manager, err := b.startManager(lifetime)
	if err != nil {
		return err
	}
	return manager.WaitReady(ctx)
}

func (b *board) playStandIn(ctx context.Context, current *life, manager *everesttest.Manager) error {
	spawned := !b.standalone
	options := manager.Options(standInID)
	options.Spawned = &spawned
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	current.standIn = module
	if err := b.setUp(current, module); err != nil {
		return err
	}
	return module.Run(ctx)
}

func (b *board) ensureBroker() error {
	if b.broker != nil {
		select {
		case <-b.broker.ended:
		default:
			return nil
		}
	}
	name := b.name + "-broker"
	started, err := startBroker(b.ns, name, b.folder, b.embedded, b.standalone, func(line string) { b.line(name + ": " + line) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.broker = started
	b.mu.Unlock()
	return nil
}

// set sets the current life, nil for none.
func (b *board) set(current *life) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = current
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// alive returns the life in which all modules are ready, or nil. The channel is closed at the next change.
func (b *board) alive() (*life, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.current, b.changed
}

// await waits for a life with at least that number in which all modules are ready.
func (b *board) await(ctx context.Context, least int) (*life, error) {
	for {
		current, changed := b.alive()
		if current != nil && !current.over() && current.number >= least {
			return current, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is not ready: %w", b.name, context.Cause(ctx))
		}
	}
}

// inEachLife calls do in each life of the board until ctx ends, with a context that ends with the life. It returns the first
// error of do that does not come from the end of the life.
func (b *board) inEachLife(ctx context.Context, do func(lifetime context.Context, current *life) error) error {
	for number := 0; ; {
		current, err := b.await(ctx, number)
		if err != nil {
			return nil
		}
		lifetime, release := current.during()
		err = do(lifetime, current)
		release()
		if err != nil && !current.endsSoon(ctx) {
			return err
		}
		number = current.number + 1
	}
}

// controlSocket returns the path of the status socket of the module under test.
func (b *board) controlSocket() string { return filepath.Join(b.folder, b.moduleID+".sock") }

// status returns the state of the link from the module under test.
func (b *board) status(ctx context.Context) (*control.Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	client := control.Dial(b.controlSocket())
	defer client.Close()
	status, err := client.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", b.moduleID, err)
	}
	if status.Link == nil {
		return nil, fmt.Errorf("status of %s: it has no link", b.moduleID)
	}
	return status.Link, nil
}
