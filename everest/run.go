package everest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Run operates the module until it ends. It subscribes everything and waits for the acknowledgements, calls the OnInit
// functions and sends ready. It calls the OnReady functions at the first global ready.
//
// Run returns nil when the manager asks its modules to end. Otherwise it returns the first cause: the end of ctx, an
// error of an OnInit or OnReady function, an error passed to Fail, or ErrBrokerLost. ErrBrokerLost ends only a module
// that a manager started. A standalone module connects again. Where the broker answers at once and still has the module's
// session, the module goes on as if nothing had happened. Otherwise it repeats the handshake, without OnInit and OnReady,
// and holds its variables and errors back until the next global ready. It ends with ErrConfigChanged when its
// configuration has changed.
//
// The module is closed when Run returns. Handlers that still run after Options.StopTimeout are logged and left alone.
func (m *Module) Run(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer close(m.ended)
	running, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	m.ending.add(cancel)
	defer context.AfterFunc(ctx, func() { m.ending.end(endOf(ctx)) })()
	m.ending.end(m.serve(running))
	err := m.ending.reason()
	closing := m.shut(running)
	if errors.Is(err, ErrShutdown) {
		return closing
	}
	return err
}

// endOf returns the cause of a context's end, joined with the context's own error. A cause such as that of
// signal.NotifyContext does not match the context's own error by itself.
func endOf(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return context.Cause(ctx)
}

func (m *Module) begin() error {
	m.mu.Lock()
	running, closed, mistakes := m.running, m.closed, errors.Join(m.mistakes...)
	m.running = running || !closed && mistakes == nil
	m.mu.Unlock()
	switch {
	case running:
		return errors.New("everest: Run was called twice")
	case closed:
		return ErrClosed
	case mistakes != nil:
		return errors.Join(mistakes, m.Close())
	}
	return nil
}

// progress is how far a module has got; only serve's goroutine knows it.
type progress struct {
	ready       bool // sent to the manager
	globalReady bool // received at least once
	again       bool // the handshake was repeated, and no global ready has arrived since
	newManager  bool // a manager started before the module was ready
	brief       int  // connections in a row that were brief
}

// serve returns the reason why the module ends, or nil when the context has ended.
func (m *Module) serve(ctx context.Context) error {
	if err := m.subscribeAll(ctx); err != nil {
		if !m.lost() || m.spawned {
			return m.reason(err)
		}
	}
	m.publishMetadata(ctx)
	var reached progress
	remind := reminder{first: m.options.ReadyReminder}
	defer remind.stop()
	m.reportPhase("starting")
	initialised := m.startInit(ctx)
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err = <-initialised:
			if err != nil {
				return err
			}
			initialised, reached.ready = nil, true
			m.warnUnhandled()
			m.tellRegistrations()
			if err = m.subscribePending(ctx); err == nil {
				err = m.firstReady(ctx, &reached)
			}
			m.startReminder(&remind)
			m.watchdog.ready()
			m.reportProgress(reached)
		case <-m.watchdog.due():
			m.watchdog.turn()
		case <-remind.due():
			if err := m.sameFamily(); err != nil {
				return err
			}
			if m.mustNotRemind() {
				remind.stop()
				continue
			}
			err = m.sayReady(ctx)
			remind.again()
		case <-m.events.subscribe:
			err = m.subscribePending(ctx)
		case <-m.events.globalReady:
			remind.stop()
			err = m.hearGlobalReady(ctx, &reached)
			m.reportProgress(reached)
		case <-m.events.managerStarted:
			if m.spawned { // a manager ends its modules with it, so this is the start of the module's own manager
				continue
			}
			m.forgetOthers(ctx)
			if !reached.ready {
				reached.newManager = true
				continue
			}
			m.log.Info("the manager has started again")
			reached.again = true
			m.gate.shut()
			err = m.greetManager(ctx)
			m.startReminder(&remind)
			m.reportProgress(reached)
		case <-m.link.Load().transport.Done():
			if m.spawned {
				return m.link.Load().transport.Err()
			}
			m.log.Warn("connecting to the broker again", zap.Error(m.link.Load().transport.Err()))
			if err := m.reconnect(ctx, &reached); err != nil {
				return err
			}
			if reached.ready && reached.again {
				m.startReminder(&remind)
			}
			m.reportProgress(reached)
		}
		if err != nil && !m.lost() {
			return err
		}
	}
}

func (m *Module) reportProgress(reached progress) {
	switch {
	case !reached.ready:
		m.reportPhase("starting")
	case reached.again:
		m.reportPhase("connected again, waiting for the manager")
	case !reached.globalReady:
		m.reportPhase("ready, waiting for the other modules")
	default:
		m.reportPhase("running")
	}
}

// firstReady sends ready. When a manager has started meanwhile, its configuration may be a different one, so the
// handshake is repeated.
func (m *Module) firstReady(ctx context.Context, reached *progress) error {
	if reached.newManager {
		return m.greetManager(ctx)
	}
	return m.sayReady(ctx)
}

func (m *Module) hearGlobalReady(ctx context.Context, reached *progress) error {
	// A global ready before the module's own ready belongs to the restart of another module.
	if !reached.ready {
		return nil
	}
	if !reached.globalReady {
		reached.globalReady = true
		m.startReady(ctx)
	} else {
		m.log.Debug("global ready again")
	}
	if !reached.again {
		return nil
	}
	reached.again = false
	return m.letNewsOut(ctx)
}

// lost reports whether the connection to the broker has ended.
func (m *Module) lost() bool {
	select {
	case <-m.link.Load().transport.Done():
		return true
	default:
		return false
	}
}

// reason returns the reason why the connection ended, or err when the connection is open.
func (m *Module) reason(err error) error {
	if m.lost() {
		return m.link.Load().transport.Err()
	}
	return err
}

// subscribeAll subscribes the topics that were registered before Run.
func (m *Module) subscribeAll(ctx context.Context) error {
	m.wantGlobalErrors()
	m.listenToAll()
	if err := m.subscribePending(ctx); err != nil {
		return err
	}
	m.link.Load().ready.Store(true)
	return nil
}

// startInit runs the OnInit functions in a goroutine, so that the loop of serve still watches the broker.
func (m *Module) startInit(ctx context.Context) chan error {
	m.mu.Lock()
	functions := m.onInit
	m.mu.Unlock()
	done := make(chan error, 1)
	m.background.Go(func() {
		for _, fn := range functions {
			if err := fn(ctx); err != nil {
				done <- fmt.Errorf("everest: module %s: init: %w", m.options.ModuleID, err)
				return
			}
		}
		done <- nil
	})
	return done
}

func (m *Module) startReady(ctx context.Context) {
	m.log.Info("all modules are ready")
	m.allReady.Store(new(time.Now()))
	m.mu.Lock()
	functions := m.onReady
	m.mu.Unlock()
	if m.options.Started != nil {
		m.background.Go(m.options.Started)
	}
	for _, fn := range functions {
		m.background.Go(func() {
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				m.Fail(fmt.Errorf("everest: module %s: ready: %w", m.options.ModuleID, err))
			}
		})
	}
}

func (m *Module) sayReady(ctx context.Context) error {
	return m.send(ctx, m.wire.ModuleReadyTopic(m.options.ModuleID), m.wire.ModuleReady(), ExactlyOnce)
}

// startReminder does nothing for a module that a manager started, because that manager already listened for ready.
func (m *Module) startReminder(remind *reminder) {
	if !m.spawned {
		remind.start()
	}
}

// publishMetadata publishes the list of provided implementations. No part of EVerest depends on it.
func (m *Module) publishMetadata(ctx context.Context) {
	type implementation struct {
		Interface string `json:"interface"`
	}
	provides := map[string]implementation{}
	if m.manifest != nil {
		for id, declared := range m.manifest.Provides {
			provides[id] = implementation{declared.Interface}
		}
	}
	data, err := encodeValue(struct {
		Module   string                    `json:"module"`
		Provides map[string]implementation `json:"provides"`
	}{m.config.name, provides})
	if err == nil {
		err = m.send(ctx, m.wire.MetadataTopic(m.options.ModuleID), m.wire.Metadata(data), ExactlyOnce)
	}
	if err != nil {
		m.log.Debug("metadata not published", zap.Error(err))
	}
}

// greetManager repeats the handshake with a manager that has started again.
func (m *Module) greetManager(ctx context.Context) error {
	config, err := m.requestConfig(ctx)
	if err != nil {
		return err
	}
	if !config.sameFor(m.config) {
		return ErrConfigChanged
	}
	m.publishMetadata(ctx)
	return m.sayReady(ctx)
}

// forgetOthers makes the errors of other modules inactive, because these modules have started anew.
func (m *Module) forgetOthers(ctx context.Context) {
	for _, subscription := range m.router.withReset() {
		subscription.queue.pushReset(ctx, subscription)
	}
}

// Close ends the module, and sends published messages as far as possible. It waits until Run has returned, or returns
// at once when Run was not called. Close may be called several times. A handler must call Fail instead, because Run
// waits for the handler.
func (m *Module) Close() error {
	m.ending.end(ErrClosed)
	m.mu.Lock()
	closed, running := m.closed, m.running
	m.closed = true
	m.mu.Unlock()
	if running {
		<-m.ended
		return nil
	}
	if closed {
		return nil
	}
	return m.shut(context.Background())
}

// shut ends everything that the module has started. It runs once, after serve or instead of it.
func (m *Module) shut(ctx context.Context) error {
	defer m.identity.release()
	m.watchdog.stop()
	if !m.dispatcher.stop(m.options.StopTimeout) {
		m.log.Error("handlers still run", zap.Strings("queues", m.dispatcher.busy()))
	}
	if !waitFor(&m.background, m.options.StopTimeout) {
		m.log.Error("OnInit or OnReady functions still run")
	}
	link := m.link.Load()
	if link == nil {
		return nil
	}
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.options.StopTimeout)
	defer cancel()
	if err := link.transport.Flush(flushing); err != nil {
		m.log.Debug("messages may be lost", zap.Error(err))
	}
	return link.transport.Close()
}
