package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// eventRelay publishes the satellite's events on the main board. It is called for one event after the other, in their
// order.
type eventRelay struct {
	log   *zap.Logger
	table *route.Table
	// publish publishes a variable, sinks publish errors.
	publish func(ctx context.Context, id, variable string, value json.RawMessage) error
	sinks   *errorSinks
	// rfid is the mapping of the satellite's RFID reader, nil for none.
	rfid *everest.Mapping
	// firmwareFailed is called for a firmware update of the satellite that fails.
	firmwareFailed func()
	// watch follows the events that were published.
	watch func(link.Event)

	variables, errors, dropped atomic.Uint64
	// lastVariable is when the last variable was published, in nanoseconds, 0 before.
	lastVariable atomic.Int64
}

func newEventRelay(table *route.Table, module *everest.Module, sinks *errorSinks, log *zap.Logger) *eventRelay {
	return &eventRelay{
		log: log, table: table, sinks: sinks, rfid: module.MappingOf(route.RFID),
		publish: func(ctx context.Context, id, variable string, value json.RawMessage) error {
			return module.Provides(id).Publish(ctx, variable, value)
		},
	}
}

// event publishes one event. What cannot be published is counted and logged.
func (r *eventRelay) event(ctx context.Context, event link.Event) {
	switch event.Kind {
	case link.Active:
		if err := r.sinks.replace(ctx, event.Value); err != nil {
			r.dropped.Add(1)
			r.log.Warn("the satellite's active errors are partly unknown here", zap.Error(err))
		}
	case link.Variable:
		r.variable(ctx, event)
	default:
		r.error(ctx, event)
	}
}

func (r *eventRelay) error(ctx context.Context, event link.Event) {
	if err := r.sinks.forward(ctx, event); err != nil {
		r.dropped.Add(1)
		r.log.Warn("error of the satellite is dropped", zap.Bool("raised", event.Kind == link.Raised), zap.Error(err))
		return
	}
	r.errors.Add(1)
	r.watch(event)
}

func (r *eventRelay) variable(ctx context.Context, event link.Event) {
	err := r.publishVariable(ctx, event)
	switch {
	case errors.Is(err, errUnknownVariable):
		r.dropped.Add(1)
		if r.table.First(event.Interface + "." + event.Name) {
			r.log.Warn("a variable of the satellite is unknown on this board: its values are dropped",
				zap.String("interface", event.Interface), zap.String("variable", event.Name))
		}
	case err != nil:
		r.dropped.Add(1)
		r.log.Warn("variable of the satellite is dropped",
			zap.String("interface", event.Interface), zap.String("variable", event.Name), zap.Error(err))
	default:
		r.variables.Add(1)
		r.watch(event)
		r.lastVariable.Store(time.Now().UnixNano())
	}
}

func (r *eventRelay) publishVariable(ctx context.Context, event link.Event) error {
	if !r.table.HasVariable(event.Interface, event.Name) {
		return errUnknownVariable
	}
	value := event.Value
	if route.IsToken(event.Interface, event.Name) {
		token, err := route.WithConnectors(value, r.rfid)
		if err != nil {
			return err
		}
		value = token
	}
	if route.IsFailedUpdate(event.Interface, event.Name, value) {
		r.firmwareFailed()
	}
	return r.publish(ctx, event.Interface, event.Name, value)
}

// unreadable counts and logs an answer of the agent of which not every event can be published.
func (r *eventRelay) unreadable(err error) {
	r.dropped.Add(1)
	r.log.Error("the agent's answer is partly unreadable", zap.Error(err))
}
