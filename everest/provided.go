package everest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Provided is one implementation that the module provides. Its methods are safe for concurrent use.
type Provided struct {
	module        *Module
	id            string
	interfaceName string
	base          string // the start of the implementation's topics
	mistake       error  // not nil: the module does not have this implementation

	mu        sync.Mutex
	handlers  map[string]CommandHandler
	listening map[string]bool

	errors raisedErrors
}

func (m *Module) newProvided(id, interfaceName string) *Provided {
	return &Provided{
		module: m, id: id, interfaceName: interfaceName, base: m.wire.Implementation(m.options.ModuleID, id),
		handlers: map[string]CommandHandler{}, listening: map[string]bool{}, errors: raisedErrors{turn: make(chan struct{}, 1)},
	}
}

// buildProvided makes the implementations that the manifest declares. Without a manifest it takes their ids from the
// configuration, which has an entry for each.
func (m *Module) buildProvided() {
	if m.manifest != nil {
		for id, declared := range m.manifest.Provides {
			m.provided[id] = m.newProvided(id, declared.Interface)
		}
		return
	}
	for id := range m.config.parameters {
		if id != ownParameters && wire.ValidLevel(id) {
			m.provided[id] = m.newProvided(id, "")
		}
	}
}

// Provides returns the implementation with that id. For an unknown id, Run and the methods of the result fail with an
// error that names the id.
func (m *Module) Provides(implementation string) *Provided {
	if provided, known := m.provided[implementation]; known {
		return provided
	}
	provided := m.newProvided(implementation, "")
	provided.mistake = fmt.Errorf("everest: module %s provides no implementation %q, its manifest has %q",
		m.options.ModuleID, implementation, slices.Sorted(maps.Keys(m.provided)))
	m.mistake(provided.mistake)
	return provided
}

// ID returns the implementation's id.
func (p *Provided) ID() string { return p.id }

// Interface returns the name of the implementation's interface. It is empty without a manifest.
func (p *Provided) Interface() string { return p.interfaceName }

// Mapping returns the part of the charging station to which the implementation is mapped. A nil Mapping means the whole
// station.
func (p *Provided) Mapping() *Mapping { return p.module.MappingOf(p.id) }

// Handle sets the handler of a command. Calls of a command without a handler get an error reply.
func (p *Provided) Handle(command string, handler CommandHandler) {
	if p.mistake != nil {
		return
	}
	where := "command " + p.id + "." + command
	switch {
	case handler == nil:
		p.module.mistake(fmt.Errorf("everest: %s: the handler is nil", where))
		return
	case !wire.ValidLevel(command):
		p.module.mistake(fmt.Errorf("everest: %s: the name must not be empty nor hold a slash, + or #", where))
		return
	}
	p.mu.Lock()
	_, twice := p.handlers[command]
	p.handlers[command] = handler
	p.mu.Unlock()
	if twice {
		p.module.mistake(fmt.Errorf("everest: %s has two handlers", where))
		return
	}
	if definition, known := p.module.options.Definitions.Interface(p.interfaceName); known && definition.Commands[command] == nil {
		p.module.log.Warn("handled command is none of the interface's", zap.String("implementation", p.id),
			zap.String("interface", p.interfaceName), zap.String("command", command))
	}
	p.listen(command)
}

// handler returns nil for a command without a handler.
func (p *Provided) handler(command string) CommandHandler {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handlers[command]
}

// listen subscribes a command once, even when the command has no handler yet.
func (p *Provided) listen(command string) {
	p.mu.Lock()
	already := p.listening[command]
	p.listening[command] = true
	p.mu.Unlock()
	if already {
		return
	}
	key := p.module.wire.CommandKey(p.base, command)
	queue := p.module.dispatcher.newQueue(key)
	p.module.router.addKey(key, p.module.wire.CommandTopic(p.base, command), &subscription{queue: queue, handle: func(ctx context.Context, message Message, arrived time.Time) {
		p.handle(ctx, command, message, arrived)
	}})
	p.module.registered()
}

// listenToAll also subscribes the commands of the interfaces that have no handler. Their callers get an error at once
// instead of waiting for their time-out.
func (m *Module) listenToAll() {
	for _, p := range m.provided {
		definition, known := m.options.Definitions.Interface(p.interfaceName)
		if !known {
			continue
		}
		for _, command := range slices.Sorted(maps.Keys(definition.Commands)) {
			p.listen(command)
		}
	}
}

// warnUnhandled logs the commands without a handler when the module becomes ready.
func (m *Module) warnUnhandled() {
	for _, p := range m.provided {
		var missing []string
		p.mu.Lock()
		for command := range p.listening {
			if p.handlers[command] == nil {
				missing = append(missing, command)
			}
		}
		p.mu.Unlock()
		if len(missing) > 0 {
			slices.Sort(missing)
			m.log.Warn("commands without a handler are answered with an error", zap.String("implementation", p.id), zap.Strings("commands", missing))
		}
	}
}

// Publish publishes a value of a variable. It blocks while too many messages are unacknowledged, and returns before
// this message is acknowledged: see Module.Acknowledged. In a standalone module it also blocks while the broker is away,
// and until all modules are ready again after that. The value is encoded as JSON; the bytes of a json.RawMessage are sent unchanged.
// Publish checks the value against the interface only when the manager's settings ask for validation. Values published
// before the global ready may not reach every subscriber.
func (p *Provided) Publish(ctx context.Context, variable string, value any) error {
	if p.mistake != nil {
		return p.mistake
	}
	if !wire.ValidLevel(variable) {
		return fmt.Errorf("everest: publish %s.%q: the name must not be empty nor hold a slash, + or #", p.id, variable)
	}
	encoded, err := encodeValue(value)
	if err != nil {
		return fmt.Errorf("everest: publish %s.%s: %w", p.id, variable, err)
	}
	if p.module.start.validate() {
		if err := p.module.options.Definitions.CheckVariable(p.interfaceName, variable, encoded); err != nil {
			return p.module.refused(fmt.Errorf("everest: publish %s.%s: %w", p.id, variable, err))
		}
	}
	if err := p.module.sendLasting(ctx, p.module.wire.VariableTopic(p.base, variable), p.module.wire.Variable(variable, encoded), true); err != nil {
		return p.module.refused(fmt.Errorf("everest: publish %s.%s: %w", p.id, variable, err))
	}
	return nil
}
