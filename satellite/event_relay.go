package satellite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
	"github.com/remotechargeport/remotechargeport/satellite/internal/update"
)

const (
	// relayBurst and relayRate bound how many events of one satellite are relayed: so many at once, and so many a second in
	// the long run unless EventRate is set. Beyond the bound events wait, at the satellite in the end.
	// The modules of the main board read the events of all satellites in turn: a module that takes 1 ms for each falls
	// behind all of them beyond about 800 a second, and one of this software ends when 16 384 messages wait for it.
	relayBurst = 12_000
	relayRate  = 500
	// relayUnit is how many bytes of a value count as one more event.
	relayUnit = 4 << 10
)

// eventRelay publishes the satellite's events on the main board. It is called for one event after the other, in their
// order.
type eventRelay struct {
	log   *zap.Logger
	table *route.Table
	// publish publishes a variable, sinks publish errors.
	publish func(ctx context.Context, id, variable string, value json.RawMessage) error
	sinks   *errorSinks
	// translator translates the satellite's identifiers.
	translator *crossing.Translator
	check      *valueCheck
	// updates follows the firmware updates of the satellite.
	updates *update.Keeper
	// watch follows the events that were published, and errorsChanged the active errors.
	watch         func(link.Event)
	errorsChanged func()
	// budget is what remains of relayBurst and of the rate.
	budget *rate.Limiter

	variables, errors, dropped atomic.Uint64
	// lastVariable is when the last variable was published, in nanoseconds, 0 before.
	lastVariable atomic.Int64
}

func newEventRelay(table *route.Table, module *everest.Module, translator *crossing.Translator, sinks *errorSinks, eventRate int, log *zap.Logger) *eventRelay {
	return &eventRelay{
		log: log, table: table, translator: translator, sinks: sinks, budget: rate.NewLimiter(rate.Limit(cmp.Or(eventRate, relayRate)), relayBurst),
		publish: func(ctx context.Context, id, variable string, value json.RawMessage) error {
			return module.Provides(id).Publish(ctx, variable, value)
		},
	}
}

// event publishes one event. What cannot be published is counted and logged.
func (r *eventRelay) event(ctx context.Context, event link.Event) {
	r.spend(ctx, 1+len(event.Value)/relayUnit)
	if size, most := len(event.Value), r.table.MaxValue(); size > most && event.Kind != link.Active {
		// An agent of this software has dropped it.
		r.dropped.Add(1)
		r.log.Warn("a value or an error of the satellite is dropped: modules of the boards take none that is so long",
			zap.String("interface", event.Interface), zap.String("variable", event.Name), zap.Error(fmt.Errorf("%w: %d bytes, and %d at most", everest.ErrTooLarge, size, most)))
		return
	}
	switch event.Kind {
	case link.Active:
		if err := r.sinks.replace(ctx, event.Value); err != nil {
			r.dropped.Add(1)
			r.log.Warn("the satellite's active errors are partly unknown here", zap.Error(err))
		}
		r.errorsChanged()
	case link.Variable:
		r.variable(ctx, event)
	case link.Unknown:
		r.dropped.Add(1)
		r.log.Warn("an event of the satellite is skipped: its kind is that of a later release")
	default:
		r.error(ctx, event)
	}
}

// spend takes the cost of an event from the budget, and waits where there is too little.
func (r *eventRelay) spend(ctx context.Context, cost int) {
	if r.budget.AllowN(time.Now(), cost) {
		return
	}
	r.log.Warn("the satellite publishes more than this board can take in the long run: its events are slowed down")
	_ = r.budget.WaitN(ctx, cost) // it fails only with the context, and so does the publishing
}

func (r *eventRelay) error(ctx context.Context, event link.Event) {
	err := r.sinks.forward(ctx, event)
	if errors.Is(err, net.ErrClosed) {
		return // it is lost with this process
	}
	if err != nil {
		r.dropped.Add(1)
		r.log.Warn("error of the satellite is dropped", zap.Bool("raised", event.Kind == link.Raised), zap.Error(err))
		return
	}
	r.errors.Add(1)
	r.errorsChanged()
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
	case errors.Is(err, net.ErrClosed): // it is lost with this process
	case errors.Is(err, errUnreadableValue), errors.Is(err, errWithheld):
		r.dropped.Add(1)
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
	value, err := r.translator.Variable(event.Interface, event.Name, event.Value)
	if err != nil {
		return err
	}
	if err := r.check.variable(event.Interface, event.Name, value); err != nil {
		return err
	}
	if route.IsFirmwareStatus(event.Interface, event.Name) {
		r.updates.Reported(value)
	}
	return r.publish(ctx, event.Interface, event.Name, value)
}

// unreadable counts and logs an answer of the agent of which not every event can be published.
func (r *eventRelay) unreadable(err error) {
	r.dropped.Add(1)
	r.log.Error("the agent's answer is partly unreadable", zap.Error(err))
}
