package everest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/wire"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Raise raises an error of this implementation. Only Type is required. What is empty becomes: Message "no message
// provided", Description that of the interface definition, Severity Low, VendorID "everest", UUID a new one, Timestamp
// now; the origin is always this implementation, with its mapping. Raising what is already active, by type and sub type,
// does nothing. A type that the interface definition does not list is refused with ErrUnknownErrorType.
func (p *Provided) Raise(ctx context.Context, e Error) error {
	if definition, known := p.module.options.Definitions.Interface(p.interfaceName); known && !definition.HasErrorType(e.Type) {
		return fmt.Errorf("everest: raise %s of %s: interface %s: %w", e.Type, p.id, p.interfaceName, ErrUnknownErrorType)
	}
	e.Origin = Origin{ModuleID: p.module.options.ModuleID, ImplementationID: p.id, Mapping: p.module.config.mapping.origin(p.id)}
	return p.raise(ctx, e)
}

// RaiseForwarded raises an error on behalf of where it arose: its origin, UUID and timestamp are kept, and its identity is
// the type, the sub type and the origin. The type is not checked, for the origin may be of a newer release.
func (p *Provided) RaiseForwarded(ctx context.Context, e Error) error {
	if e.Origin.ModuleID == "" {
		return fmt.Errorf("everest: raise %s of %s: a forwarded error needs an origin", e.Type, p.id)
	}
	return p.raise(ctx, e)
}

func (p *Provided) raise(ctx context.Context, e Error) error {
	if !wire.ValidErrorType(e.Type) {
		return fmt.Errorf("everest: raise %q of %s: an error type is of the form namespace/Name", e.Type, p.id)
	}
	e.complete(p.module.options.Definitions)
	if err := p.lock(ctx); err != nil {
		return err
	}
	defer p.unlock()
	if len(p.errors.active) >= maxActiveErrors {
		return fmt.Errorf("everest: raise %s of %s: %d errors are active already", e.Type, p.id, maxActiveErrors)
	}
	if !p.errors.raise(e) {
		return nil
	}
	if err := p.publishError(ctx, true, e); err != nil {
		p.errors.clear(keyOf(e))
		return err
	}
	return nil
}

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
	e.Timestamp = e.Timestamp.UTC().Truncate(time.Millisecond)
	e.State = StateActive
}

func setText(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// Clear clears an error of this implementation; the message repeats what was raised. Clearing what is not active does
// nothing.
func (p *Provided) Clear(ctx context.Context, errorType, subType string) error {
	return p.clear(ctx, func(e Error) bool {
		return e.Type == errorType && e.SubType == subType && p.isOwn(e)
	})
}

// ClearForwarded clears the error of the same type, sub type and origin.
func (p *Provided) ClearForwarded(ctx context.Context, e Error) error {
	return p.clear(ctx, func(active Error) bool { return keyOf(active) == keyOf(e) })
}

// ClearType clears all errors of a type that arose in this implementation, whatever their sub type.
func (p *Provided) ClearType(ctx context.Context, errorType string) error {
	return p.clear(ctx, func(e Error) bool { return e.Type == errorType && p.isOwn(e) })
}

// ClearAll clears everything that was raised through this implementation, forwarded errors included.
func (p *Provided) ClearAll(ctx context.Context) error {
	return p.clear(ctx, nil)
}

func (p *Provided) isOwn(e Error) bool {
	return e.Origin.ModuleID == p.module.options.ModuleID && e.Origin.ImplementationID == p.id
}

func (p *Provided) clear(ctx context.Context, match func(Error) bool) error {
	if err := p.lock(ctx); err != nil {
		return err
	}
	defer p.unlock()
	for _, e := range p.errors.list(match) {
		cleared := e
		cleared.State = StateClearedByModule
		if err := p.publishError(ctx, false, cleared); err != nil {
			return err
		}
		p.errors.clear(keyOf(e))
	}
	return nil
}

// ActiveErrors returns what is raised through this implementation, the oldest first.
func (p *Provided) ActiveErrors() []Error {
	p.turn <- struct{}{}
	defer p.unlock()
	return p.errors.list(nil)
}

// IsActive reports whether an error of this implementation is raised.
func (p *Provided) IsActive(errorType, subType string) bool {
	p.turn <- struct{}{}
	defer p.unlock()
	return len(p.errors.list(func(e Error) bool { return e.Type == errorType && e.SubType == subType && p.isOwn(e) })) > 0
}

func (p *Provided) publishError(ctx context.Context, raise bool, e Error) error {
	data, err := encodeValue(e)
	if err == nil {
		err = p.module.send(ctx, p.module.wire.ErrorTopic(p.base, e.Type), p.module.wire.Error(raise, data), ExactlyOnce)
	}
	if err != nil {
		return fmt.Errorf("everest: error %s of %s: %w", e.Type, p.id, err)
	}
	return nil
}

func (p *Provided) lock(ctx context.Context) error {
	if p.mistake != nil {
		return p.mistake
	}
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Provided) unlock() { <-p.turn }

// raiseAgain tells a station that has started anew what is active.
func (m *Module) raiseAgain(ctx context.Context) error {
	var failures []error
	for _, p := range m.provided {
		if err := p.lock(ctx); err != nil {
			return err
		}
		for _, e := range p.errors.list(nil) {
			failures = append(failures, p.publishError(ctx, true, e))
		}
		p.unlock()
	}
	return errors.Join(failures...)
}
