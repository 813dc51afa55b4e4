package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// relay publishes the satellite's events on the main board, one after the other
// in their order. What comes before this board is ready waits: nobody would hear
// it.
type relay struct {
	log    *zap.Logger
	status *controllerCounters
	// publish and forward are the ways to the main board's broker.
	publish func(ctx context.Context, id, variable string, value json.RawMessage) error
	forward func(ctx context.Context, event Event) error
	// replace makes the errors of a list the only ones that are forwarded.
	replace func(ctx context.Context, active json.RawMessage) error
	// rfid is where the satellite's reader stands, nil for no mapping.
	rfid           *everest.Mapping
	table          *route.Table
	firmwareFailed func()
	// watch is told what was published.
	watch func(Event)

	// opened is closed when the board is ready.
	opened  chan struct{}
	lock    sync.Mutex
	ready   bool
	waiting []Event
}

func newRelay(table *route.Table, module *everest.Module, sinks *errorSinks, log *zap.Logger, status *controllerCounters) *relay {
	return &relay{
		log: log, status: status, table: table, opened: make(chan struct{}),
		watch: func(Event) {},
		rfid:  module.MappingOf(route.RFID),
		publish: func(ctx context.Context, id, variable string, value json.RawMessage) error {
			return module.Provides(id).Publish(ctx, variable, value)
		},
		forward: sinks.forward,
		replace: sinks.replace,
	}
}

// boardReady publishes what has waited, and lets everything after it through.
func (r *relay) boardReady(ctx context.Context) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.ready = true
	for _, event := range r.waiting {
		r.event(ctx, event)
	}
	r.waiting = nil
	select {
	case <-r.opened:
	default:
		close(r.opened)
	}
}

// deliverOne publishes one event of a v2 link. The caller has waited for opened.
func (r *relay) deliverOne(ctx context.Context, event Event) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if event.Active == nil {
		r.event(ctx, event)
		return
	}
	if err := r.replace(ctx, event.Active); err != nil {
		r.status.dropped.Add(1)
		r.log.Warn("the satellite's active errors are partly unknown here", zap.Error(err))
	}
}

// deliver takes one answer of retrieve_vars_and_errors. It returns when all of it
// is published.
func (r *relay) deliver(ctx context.Context, answer string) {
	events, err := decodeRetrieved(answer)
	if err != nil {
		r.log.Error("the agent's answer is partly unreadable", zap.Error(err))
		r.status.dropped.Add(1)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if !r.ready {
		r.waiting = append(r.waiting, events...)
		return
	}
	for _, event := range events {
		r.event(ctx, event)
	}
}

func (r *relay) event(ctx context.Context, event Event) {
	var err error
	if event.Error != nil {
		err = r.forward(ctx, event)
	} else {
		err = r.variable(ctx, event)
	}
	switch {
	case err != nil && event.Error != nil:
		r.status.dropped.Add(1)
		r.log.Warn("error of the satellite is dropped", zap.Bool("raised", event.Raised), zap.Error(err))
	case errors.Is(err, errUnknownVariable):
		r.status.dropped.Add(1)
		if r.table.First(event.Interface + "." + event.Variable) {
			r.log.Warn("a variable of the satellite is unknown on this board: its values are dropped",
				zap.String("interface", event.Interface), zap.String("variable", event.Variable))
		}
	case err != nil:
		r.status.dropped.Add(1)
		r.log.Warn("variable of the satellite is dropped",
			zap.String("interface", event.Interface), zap.String("variable", event.Variable), zap.Error(err))
	case event.Error != nil:
		r.status.errors.Add(1)
		r.watch(event)
	default:
		r.status.variables.Add(1)
		r.watch(event)
		r.status.lastVariable.Store(time.Now().UnixNano())
	}
}

func (r *relay) variable(ctx context.Context, event Event) error {
	if !r.table.HasVariable(event.Interface, event.Variable) {
		return errUnknownVariable
	}
	value := event.Value
	switch {
	case route.IsToken(event.Interface, event.Variable):
		token, err := route.WithConnectors(value, r.rfid)
		if err != nil {
			return err
		}
		value = token
	case route.IsFailedUpdate(event.Interface, event.Variable, value):
		r.firmwareFailed()
	}
	return r.publish(ctx, event.Interface, event.Variable, value)
}
