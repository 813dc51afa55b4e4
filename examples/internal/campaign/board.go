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

// restartPause is how long the system manager waits before it starts a board again.
const restartPause = 200 * time.Millisecond

// standInID is the module of a board that this program plays.
const standInID = "station"

// board is one board with its system manager: whatever of it ends, all of it does, and is started again.
type board struct {
	name     string
	ns       namespace
	folder   string
	embedded bool
	// program is the module under test, moduleID its id in the manager's configuration.
	program, moduleID string
	// modules configures the modules for the life that begins.
	modules func() map[string]everesttest.ModuleConfig
	// setUp makes the stand-in of a life.
	setUp       func(*life, *everest.Module) error
	definitions *schema.Definitions
	// line is called with what the processes write; ended with each end of a life that was not asked for.
	line  func(string)
	ended func(error)
	// problem is called with what must not be.
	problem func(string)

	mu      sync.Mutex
	broker  *broker
	current *life
	changed chan struct{}
	lives   int
}

// life is a board from a start to its end.
type life struct {
	number int
	ctx    context.Context
	end    context.CancelCauseFunc
	module *process
	// standIn is what this program plays.
	standIn *everest.Module
}

// endsSoon waits for the end of a life of which one part is gone already; false where there is none.
func (l *life) endsSoon(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	select {
	case <-l.ctx.Done():
		return true
	case <-ctx.Done():
		return context.Cause(ctx) == context.Canceled
	}
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

// live is one life of the board. It returns why it ended.
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
	current := &life{number: b.lives, ctx: ctx, end: end}
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

// set makes a life the one that others see, nil for none.
func (b *board) set(current *life) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = current
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// alive returns the life in which all modules are ready, nil when there is none; then the channel is closed when that may
// have changed.
func (b *board) alive() (*life, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.current, b.changed
}

// await returns the first life with at least that number in which all modules are ready.
func (b *board) await(ctx context.Context, least int) (*life, error) {
	for {
		current, changed := b.alive()
		if current != nil && current.ctx.Err() == nil && current.number >= least {
			return current, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is not ready: %w", b.name, context.Cause(ctx))
		}
	}
}

// controlSocket is where the module under test answers for its status.
func (b *board) controlSocket() string { return filepath.Join(b.folder, b.moduleID+".sock") }

// status asks the module under test for the state of its link.
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
