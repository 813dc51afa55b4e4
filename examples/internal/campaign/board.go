//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
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
	// program is the module under test, moduleID its id in the manager's configuration.
	program, moduleID string
	// modules returns the configuration of the modules for the next life.
	modules func() map[string]everesttest.ModuleConfig
	// setUp registers what the stand-in of a life handles and subscribes.
	setUp       func(*life, *everest.Module) error
	definitions *schema.Definitions
	// line is called with each line that the processes write, ended with each end of a life that the campaign did not ask for.
	line  func(string)
	ended func(error)
	// problem is called with a description of each thing that must not happen.
	problem func(string)

	mu      sync.Mutex
	broker  *broker
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
	manager, err := everesttest.StartManager(ctx, everesttest.ManagerConfig{
		Broker: b.broker.address(), Modules: b.modules(), Definitions: b.definitions,
	})
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	defer manager.Close()
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
	current.module, err = startProcess(b.ns, b.moduleID, func(line string) { b.line(b.moduleID + ": " + line) },
		b.program, manager.Arguments(b.moduleID)...)
	if err != nil {
		return err
	}
	defer func() {
		if !current.module.stop() {
			b.problem(b.moduleID + " did not end within 20 s of SIGTERM")
		}
	}()
	part("manager", func() error {
		if err := manager.WaitReady(ctx); err != nil {
			return err
		}
		b.set(current)
		return nil
	})
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-current.module.ended:
		return fmt.Errorf("%s ended: %w", b.moduleID, current.module.err)
	case <-b.broker.ended:
		return errors.New("the broker ended")
	}
}

func (b *board) playStandIn(ctx context.Context, current *life, manager *everesttest.Manager) error {
	spawned := true
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
	started, err := startBroker(b.ns, name, b.folder, b.embedded, func(line string) { b.line(name + ": " + line) })
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
