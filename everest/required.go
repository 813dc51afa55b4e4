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

// VariableHandler handles the values of a variable, one after the other. The context ends when the module ends. A panic
// is logged and does not end the module.
type VariableHandler func(ctx context.Context, value json.RawMessage)

// Required is one connection of a requirement to an implementation of another module. Its methods are safe for
// concurrent use.
type Required struct {
	module        *Module
	requirement   string
	interfaceName string
	to            connection
	base          string // the start of the implementation's topics
	mapping       *Mapping
	ignoreErrors  bool

	mu        sync.Mutex
	errors    errorStore
	variables []string // subscribed ones
}

// buildRequired makes a Required for each connection, in the order of the configuration.
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

// Requires returns the connections of a requirement, in the order of the configuration. An optional requirement may
// have none. For a requirement that is not in the manifest, Run fails with an error that names the requirement.
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

// Interface returns the name of the interface. It is empty without a manifest.
func (r *Required) Interface() string { return r.interfaceName }

// Mapping returns the part of the charging station to which the connected implementation is mapped. A nil Mapping means
// the whole station.
func (r *Required) Mapping() *Mapping { return r.mapping.clone() }

// String returns "requirement (module.implementation)".
func (r *Required) String() string {
	return r.requirement + " (" + r.to.ModuleID + "." + r.to.ImplementationID + ")"
}

// SubscribeOption changes one subscription.
type SubscribeOption func(*subscribeOptions)

type subscribeOptions struct {
	queue      *Queue
	newestOnly bool
}

// OnQueue assigns the subscription to a queue made by Module.NewQueue. All messages of one queue are handled one after
// the other, in the order in which the broker delivered them, even when their topics differ.
func OnQueue(queue *Queue) SubscribeOption {
	return func(options *subscribeOptions) { options.queue = queue }
}

// NewestOnly lets a newer value replace a value that still waits, at the same place in the queue. It suits handlers
// that need a variable's latest value and not every value. Run fails when NewestOnly is used for errors.
func NewestOnly() SubscribeOption {
	return func(options *subscribeOptions) { options.newestOnly = true }
}

// newSubscription applies the options. Without OnQueue the subscription gets its own queue, with the given name.
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

// guard logs a handler's panic and lets the queue continue with the next message.
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

// Subscribe subscribes a variable. The handler is called with each of its values.
func (r *Required) Subscribe(variable string, handler VariableHandler, options ...SubscribeOption) {
	m := r.module
	if handler == nil || !wire.ValidLevel(variable) {
		m.mistake(fmt.Errorf("everest: subscribe %s.%s: a handler, and a name without slash, + and #, are needed", r, variable))
		return
	}
	r.mu.Lock()
	r.variables = append(r.variables, variable)
	r.mu.Unlock()
	key := m.wire.VariableKey(r.base, variable)
	m.router.addKey(key, m.wire.VariableTopic(r.base, variable), m.newSubscription(key, options, func(ctx context.Context, message Message, _ time.Time) {
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

// SubscribeErrors subscribes the errors of the implementation. The handler is called when an error is raised or
// cleared; the ErrorID identifies the error. The handler is not called for a repeated raise, nor for a clear without a
// raise. When the manager has restarted, or the module has connected to the broker again, all active errors are
// reported as cleared. Their state is ClearedByReboot.
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

// SubscribeGlobalErrors subscribes the errors of all modules, including this one. The handler is called as with
// Required.SubscribeErrors. The manifest must set enable_global_errors.
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
		event, err := m.readErrorEvent(message)
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

// keepErrors records the active errors for ActiveErrors.
func (r *Required) keepErrors() {
	queue := r.module.dispatcher.newQueue(r.base + "/error/# (what is active)")
	s := &subscription{queue: queue}
	s.handle = func(_ context.Context, message Message, _ time.Time) {
		event, err := r.module.readErrorEvent(message)
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

// ActiveErrors returns the active errors of the implementation, the oldest first. Errors that were raised before the
// module subscribed are missing.
func (r *Required) ActiveErrors() []Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errorsOf(r.errors.list())
}

var errNoReplyTopic = errors.New("commands can be called from OnInit on, when Run has subscribed their replies")
