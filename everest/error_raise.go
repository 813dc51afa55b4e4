package everest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Raise raises an error of this implementation. Only Type is required. Empty members get defaults: "no message
// provided" as Message, the Description of the interface definition, Severity Low, VendorID "everest", a new UUID, and
// the current time. The origin is always this implementation, with its mapping.
//
// Raise does nothing when an error with the same type and sub type is active already. It returns ErrUnknownErrorType
// for a type that the interface definition does not list.
func (p *Provided) Raise(ctx context.Context, e Error) error {
	m := p.module
	if definition, known := m.options.Definitions.Interface(p.interfaceName); known && !definition.HasErrorType(e.Type) {
		return m.refused(fmt.Errorf("everest: raise %s of %s: interface %s: %w", e.Type, p.id, p.interfaceName, ErrUnknownErrorType))
	}
	if p.mistake != nil {
		return p.mistake
	}
	e.Origin = Origin{ModuleID: m.options.ModuleID, ImplementationID: p.id, Mapping: m.config.mapping.origin(p.id)}
	e.complete(m.options.Definitions)
	e.Timestamp, e.State = e.Timestamp.UTC().Truncate(time.Millisecond), StateActive
	object, err := encodeValue(e)
	if err != nil {
		return fmt.Errorf("everest: raise %s of %s: %w", e.Type, p.id, err)
	}
	return p.raise(ctx, e, object)
}

// RelayError publishes an error of another board as an error of this implementation. If raised is true, the error is
// published as raised, otherwise as cleared. object is the error object as it was received; it must have a type and an
// origin. RelayError adds mandatory members that are absent or null, and replaces a state that contradicts raised. All
// other bytes stay as they are. RelayError returns an error for an object that ends a C++ reader: see
// schema.ErrorShape.
//
// The ErrorID identifies the error. Raising an active error does nothing, and neither does clearing an inactive one. A
// cleared error gets the UUID with which it was raised, because EVerest's OCPP and ErrorHistory find it by that. The
// type is not checked against the interface, because the other board may have a newer release.
func (p *Provided) RelayError(ctx context.Context, object json.RawMessage, raised bool) error {
	if p.mistake != nil {
		return p.mistake
	}
	var e Error
	if err := json.Unmarshal(object, &e); err != nil {
		return fmt.Errorf("everest: relay an error of %s: error object: %w", p.id, err)
	}
	if e.Origin.ModuleID == "" {
		return fmt.Errorf("everest: relay %q of %s: the error object has no origin", e.Type, p.id)
	}
	e.complete(p.module.options.Definitions)
	if raised {
		e.State = StateActive
		whole, err := e.splice(object)
		if err != nil {
			return fmt.Errorf("everest: relay %s of %s: %w", e.Type, p.id, err)
		}
		return p.raise(ctx, e, whole)
	}
	return p.clear(ctx, func(active Error) bool { return active.ID() == e.ID() }, func(active activeError) (json.RawMessage, error) {
		return active.splice(object)
	})
}

func (p *Provided) raise(ctx context.Context, e Error, object json.RawMessage) error {
	if !wire.ValidErrorType(e.Type) {
		return fmt.Errorf("everest: raise %q of %s: an error type is of the form namespace/Name", e.Type, p.id)
	}
	return p.errors.inTurn(ctx, func() error {
		if isNew, err := p.errors.add(e, object); err != nil || !isNew {
			return err
		}
		err := p.publishError(ctx, true, e.Type, object)
		if err != nil {
			p.errors.remove(e.ID())
		}
		return err
	})
}

// complete fills empty members, except for the state.
func (e *Error) complete(definitions *schema.Definitions) {
	setText(&e.Message, "no message provided")
	if e.Description == "" {
		e.Description = definitions.ErrorDescription(e.Type)
	}
	setText(&e.VendorID, "everest")
	if e.Severity == "" {
		e.Severity = SeverityLow
	}
	if e.UUID == "" {
		e.UUID = newUUID()
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = time.Now()
	}
}

func setText(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// splice returns the error object, completed with the members of e that it lacks. The object gets the UUID of e, and
// where its state contradicts that of e, the state of e. An object of which EVerest's C++ readers would end is an error.
func (e Error) splice(object json.RawMessage) (json.RawMessage, error) {
	encoded, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	defaults, err := rawjson.Members(encoded)
	if err != nil {
		return nil, err
	}
	value := func(name string) json.RawMessage {
		for _, member := range defaults {
			if member.Name == name {
				return member.Value
			}
		}
		return nil
	}
	var wrong error
	whole, err := rawjson.Complete(object, defaults, func(member rawjson.Member) json.RawMessage {
		switch member.Name {
		case "state":
			state := State(rawjson.String(member.Value))
			if cleared := state == StateClearedByModule || state == StateClearedByReboot; cleared == (e.State == StateActive) {
				return value("state")
			}
		case "uuid":
			if rawjson.String(member.Value) != e.UUID {
				return value("uuid")
			}
		case "origin":
			var origin []rawjson.Member
			if origin, wrong = rawjson.Members(value("origin")); wrong == nil {
				var completed json.RawMessage
				completed, wrong = rawjson.Complete(member.Value, origin, func(rawjson.Member) json.RawMessage { return nil })
				return completed
			}
		}
		return nil
	})
	if err := errors.Join(err, wrong); err != nil {
		return nil, err
	}
	return whole, schema.ErrorShape().Check(whole)
}

// Clear clears an error of this implementation. The message repeats the object of the raised error. Clearing an
// inactive error does nothing.
func (p *Provided) Clear(ctx context.Context, errorType, subType string) error {
	return p.ClearWhere(ctx, func(e Error) bool { return e.Type == errorType && e.SubType == subType && p.isOwn(e) })
}

// ClearWhere clears the active errors for which match returns true, including relayed errors. A nil match clears all.
// The messages repeat the objects of the raised errors.
func (p *Provided) ClearWhere(ctx context.Context, match func(Error) bool) error {
	return p.clear(ctx, match, func(active activeError) (json.RawMessage, error) { return active.splice(active.object) })
}

func (p *Provided) isOwn(e Error) bool {
	return e.Origin.ModuleID == p.module.options.ModuleID && e.Origin.ImplementationID == p.id
}

// clear clears each error that matches. It publishes the object that the function object returns for the error, whose
// state is ClearedByModule then.
func (p *Provided) clear(ctx context.Context, match func(Error) bool, object func(activeError) (json.RawMessage, error)) error {
	if p.mistake != nil {
		return p.mistake
	}
	return p.errors.inTurn(ctx, func() error {
		for _, e := range p.errors.list(match) {
			e.State = StateClearedByModule
			cleared, err := object(e)
			if err != nil {
				return fmt.Errorf("everest: clear %s of %s: %w", e.Type, p.id, err)
			}
			if err := p.publishError(ctx, false, e.Type, cleared); err != nil {
				return err
			}
			p.errors.remove(e.ID())
		}
		return nil
	})
}

// ActiveErrors returns the errors that are raised through this implementation, the oldest first. It does not wait for the
// broker.
func (p *Provided) ActiveErrors() []Error { return errorsOf(p.errors.list(nil)) }

// IsActive reports whether an error of this implementation is raised. It does not wait for the broker.
func (p *Provided) IsActive(errorType, subType string) bool {
	return len(p.errors.list(func(e Error) bool { return e.Type == errorType && e.SubType == subType && p.isOwn(e) })) > 0
}

// publishError publishes the object of an error. Where the manager clears errors, it returns when the manager has cleared
// this one: an error that is raised next must not overtake the clear.
func (p *Provided) publishError(ctx context.Context, raise bool, errorType string, object json.RawMessage) error {
	m := p.module
	var cleared <-chan wire.Result
	if !raise && m.wire.ClearTopic() != "" {
		var fields struct {
			UUID string `json:"uuid"`
		}
		if err := json.Unmarshal(object, &fields); err != nil {
			return fmt.Errorf("everest: error %s of %s: %w", errorType, p.id, err)
		}
		cleared = m.calls.add(fields.UUID)
		defer m.calls.remove(fields.UUID)
	}
	if err := m.sendLasting(ctx, m.wire.ErrorTopic(p.base, errorType, raise), m.wire.Error(p.base, raise, object), true); err != nil {
		return fmt.Errorf("everest: error %s of %s: %w", errorType, p.id, err)
	}
	if cleared == nil {
		return nil
	}
	timer := time.NewTimer(m.options.ConfigTimeout)
	defer timer.Stop()
	select {
	case <-cleared:
	case <-timer.C:
		m.log.Warn("the manager does not answer that an error is cleared", zap.String("type", errorType))
	case <-ctx.Done():
	}
	return nil
}

// takeCleared reads the manager's answer to a request to clear an error.
func (m *Module) takeCleared(message Message) {
	if uuid, ok := m.wire.ReadCleared(message.Payload); ok {
		m.calls.complete(wire.Result{ID: uuid})
	}
}

// raiseAgain publishes all active errors again, for modules that have started anew.
func (m *Module) raiseAgain(ctx context.Context) error {
	var failures []error
	for _, p := range m.provided {
		err := p.errors.inTurn(ctx, func() error {
			for _, e := range p.errors.list(nil) {
				failures = append(failures, p.publishError(ctx, true, e.Type, e.object))
			}
			return nil
		})
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
