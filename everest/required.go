package everest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// VariableHandler takes the values of a variable, one after the other. The context ends with the module. A panic is
// reported and does not end the module.
type VariableHandler func(ctx context.Context, value json.RawMessage)

// Required is one connection of a requirement: an implementation of another module. Its methods are safe for concurrent use.
type Required struct {
	module        *Module
	requirement   string
	interfaceName string
	to            connection
	base          string // of the implementation's topics
	mapping       *Mapping
	ignoreErrors  bool

	mu     sync.Mutex
	errors errorStore
}

// buildRequired resolves the requirements; a connection's place in the configuration is its index.
func (m *Module) buildRequired() {
	for requirement, connections := range m.config.connections {
		for _, to := range connections {
			r := &Required{
				module: m, requirement: requirement, to: to,
				base:    m.wire.Implementation(to.ModuleID, to.ImplementationID),
				mapping: m.config.mappings[to.ModuleID].of(to.ImplementationID),
			}
			if m.manifest != nil {
				declared := m.manifest.Requires[requirement]
				r.interfaceName, r.ignoreErrors = declared.Interface, declared.IgnoreErrors
			}
			m.required[requirement] = append(m.required[requirement], r)
			m.router.addReplies(r.base)
			if !r.ignoreErrors {
				r.keepErrors()
			}
		}
	}
}

// Requires returns the connections of a requirement in the order of the configuration; none for an optional requirement
// that is not connected. A requirement that the manifest does not have makes Run fail with an error that names it.
func (m *Module) Requires(requirement string) []*Required {
	if m.manifest != nil {
		if _, known := m.manifest.Requires[requirement]; !known {
			m.mistake(fmt.Errorf("everest: module %s has no requirement %q, its manifest has %q", m.options.ModuleID, requirement, m.manifest.RequirementIDs()))
			return nil
		}
	}
	return append([]*Required(nil), m.required[requirement]...)
}

// Requirement returns the id of the requirement.
func (r *Required) Requirement() string { return r.requirement }

// ModuleID returns the id of the connected module.
func (r *Required) ModuleID() string { return r.to.ModuleID }

// ImplementationID returns the id of the connected implementation.
func (r *Required) ImplementationID() string { return r.to.ImplementationID }

// Interface returns the name of the interface, empty without a manifest.
func (r *Required) Interface() string { return r.interfaceName }

// Mapping returns what the connected implementation is mapped to; nil is the whole charging station.
func (r *Required) Mapping() *Mapping { return r.mapping.clone() }

// String reads "requirement (module.implementation)".
func (r *Required) String() string {
	return r.requirement + " (" + r.to.ModuleID + "." + r.to.ImplementationID + ")"
}

// SubscribeOption changes one subscription.
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct {
	queue      *Queue
	newestOnly bool
}

// OnQueue puts the subscription on a queue made by Module.NewQueue: everything on one queue is handled one after the
// other, in the order in which the broker delivered it, whatever its topic.
func OnQueue(queue *Queue) SubscribeOption {
	return func(options *subscribeOptions) { options.queue = queue }
}

// NewestOnly lets a waiting value be replaced by a newer one, in whose place it stays: for handlers that need the state
// and not its history. It fits variables only; Run refuses it elsewhere.
func NewestOnly() SubscribeOption {
	return func(options *subscribeOptions) { options.newestOnly = true }
}

// newSubscription applies the options; name is that of a queue of its own.
func (m *Module) newSubscription(name string, options []SubscribeOption, handle func(context.Context, Message, time.Time)) *subscription {
	var chosen subscribeOptions
	for _, option := range options {
		option(&chosen)
	}
	if chosen.queue != nil && chosen.queue.owner != m.dispatcher {
		m.mistake(fmt.Errorf("everest: subscription of %s: the queue %q is another module's", name, chosen.queue.name))
		chosen.queue = nil
	}
	if chosen.queue == nil {
		chosen.queue = m.dispatcher.newQueue(name)
	}
	return &subscription{queue: chosen.queue, newestOnly: chosen.newestOnly, handle: m.guard(name, handle)}
}

// guard logs a handler's panic; the next message is handled.
func (m *Module) guard(name string, handle func(context.Context, Message, time.Time)) func(context.Context, Message, time.Time) {
	return func(ctx context.Context, message Message, arrived time.Time) {
		defer func() {
			if reason := recover(); reason != nil {
				m.log.Error("handler panicked", zap.String("subscription", name), zap.Any("panic", reason), zap.ByteString("stack", debug.Stack()))
			}
		}()
		handle(ctx, message, arrived)
	}
}

// Subscribe has the handler called with each value of a variable.
func (r *Required) Subscribe(variable string, handler VariableHandler, options ...SubscribeOption) {
	m := r.module
	if handler == nil || !wire.ValidLevel(variable) {
		m.mistake(fmt.Errorf("everest: subscribe %s.%s: a handler, and a name without slash, + and #, are needed", r, variable))
		return
	}
	topic := m.wire.VariableTopic(r.base, variable)
	m.router.addExact(topic, m.newSubscription(topic, options, func(ctx context.Context, message Message, _ time.Time) {
		value, err := m.wire.ReadVariable(message.Payload)
		if err == nil && m.start.validate() {
			err = m.options.Definitions.CheckVariable(r.interfaceName, variable, value)
		}
		if err != nil {
			m.logDrop(message, err)
			return
		}
		handler(ctx, value)
	}))
	m.registered()
}

// SubscribeErrors has the handler called with each error that the implementation raises or clears: once for each type,
// sub type and origin until it is cleared, and not for a clear without a raise. When the manager, or the connection to
// the broker, has come back, what was active is reported as cleared with the state ClearedByReboot.
func (r *Required) SubscribeErrors(handler ErrorHandler, options ...SubscribeOption) {
	if r.ignoreErrors {
		r.module.mistake(fmt.Errorf("everest: subscribe errors of %s: the manifest says that they are ignored", r))
		return
	}
	name := r.base + "/error/#"
	if subscription := r.module.errorSubscription(name, handler, options); subscription != nil {
		r.module.router.addErrors(r.base, subscription)
		r.module.registered()
	}
}

// SubscribeGlobalErrors has the handler called with the errors of all modules, this one included. The manifest must say
// enable_global_errors.
func (m *Module) SubscribeGlobalErrors(handler ErrorHandler, options ...SubscribeOption) {
	if m.manifest != nil && !m.manifest.EnableGlobalErrors {
		m.mistake(fmt.Errorf("everest: module %s: subscribe global errors: set enable_global_errors in the manifest", m.options.ModuleID))
		return
	}
	subscription := m.errorSubscription("errors of all modules", handler, options)
	if subscription == nil {
		return
	}
	m.router.addGlobalErrors(subscription)
	m.mu.Lock()
	running := m.running
	m.mu.Unlock()
	if running {
		m.wantGlobalErrors()
		m.registered()
	}
}

func (m *Module) errorSubscription(name string, handler ErrorHandler, options []SubscribeOption) *subscription {
	if handler == nil {
		m.mistake(fmt.Errorf("everest: subscribe %s: the handler is nil", name))
		return nil
	}
	var store errorStore // used in the queue only
	s := m.newSubscription(name, options, func(ctx context.Context, message Message, _ time.Time) {
		event, err := m.readErrorEvent(message.Payload)
		if err != nil {
			m.logDrop(message, err)
			return
		}
		if store.apply(event) {
			handler(ctx, event)
		}
	})
	if s.newestOnly {
		m.mistake(fmt.Errorf("everest: subscribe %s: NewestOnly would lose errors", name))
	}
	reset := m.guard(name, func(ctx context.Context, _ Message, _ time.Time) {
		gone := store.list()
		store = errorStore{}
		for _, e := range gone {
			e.State = StateClearedByReboot
			if raw, err := e.splice(e.object); err == nil {
				handler(ctx, ErrorEvent{Error: e.Error, Raw: raw})
			}
		}
	})
	s.reset = func(ctx context.Context) { reset(ctx, Message{}, time.Time{}) }
	return s
}

// keepErrors follows what is active, for ActiveErrors.
func (r *Required) keepErrors() {
	queue := r.module.dispatcher.newQueue(r.base + "/error/# (what is active)")
	s := &subscription{queue: queue}
	s.handle = func(_ context.Context, message Message, _ time.Time) {
		event, err := r.module.readErrorEvent(message.Payload)
		if err != nil {
			r.module.logDrop(message, err)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errors.apply(event)
	}
	s.reset = func(context.Context) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errors = errorStore{}
	}
	r.module.router.addErrors(r.base, s)
}

// ActiveErrors returns the errors of the implementation that are active, as far as the module has heard: those that were
// raised before it subscribed are unknown. The oldest comes first.
func (r *Required) ActiveErrors() []Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errorsOf(r.errors.list())
}

var errNoReplyTopic = errors.New("commands can be called from OnInit on, when Run has subscribed their replies")
