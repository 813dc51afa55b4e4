package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// energy is the implementation that the machine follows besides evse_manager.
const energy = "energy"

// inoperative is the error for which OCPP 1.6 reports Faulted and Auth does not choose an EVSE.
const inoperative = "evse_manager/Inoperative"

// errWithheld is the error of a session event that the main board must not see. It is logged already.
var errWithheld = errors.New("withheld from the main board")

// evse runs the machine of the satellite's EVSE. The machine's actions are carried out in turn with the satellite's
// events.
type evse struct {
	log *zap.Logger
	// board is the module's id, by which a backend knows the satellite.
	board string
	// publish publishes a variable on the main board.
	publish func(ctx context.Context, id, variable string, value json.RawMessage) error
	// provided is the implementation evse_manager.
	provided *everest.Provided
	// addTask has something done after the events before it are published.
	addTask func(func(context.Context))
	// call calls a command of the EVSE on the satellite. It logs a failure.
	call func(ctx context.Context, id, command string, arguments everest.Args) json.RawMessage
	kept *keptSession

	// view is what people see of the EVSE. activeErrors returns its errors.
	view         occupancy.View
	activeErrors func() []control.EVSEError

	mu      sync.Mutex
	machine *occupancy.Machine

	// calls are commands that wait for the satellite, and deadlines the machine's newest deadline.
	calls     chan occupancy.Call
	deadlines chan time.Time

	estimates, lateEnds atomic.Uint64
}

// maxCalls is how many commands may wait to be called again. A machine asks for fewer at once.
const maxCalls = 64

// newEVSE returns the EVSE of the satellite. Every main board may be without its satellite for a time: one that restarts
// with a lost satellite still waits for one that it has reset or updated.
func (c *Controller) newEVSE(protocol handshake.ControllerConfig, client *link.Client) *evse {
	kept := newKeptSession(stateFile(c.config.StateDirectory, c.module.ID(), ".session.json"), c.log)
	config := occupancy.Config{Deadline: c.parameters.sessionDeadline(), Delivery: protocol.HeartbeatTimeout, Kept: kept.read()}
	if mapping := c.module.MappingOf(route.EVSEManager); mapping != nil {
		config.EVSE = mapping.EVSE
	}
	e := &evse{
		log: c.log, board: c.module.ID(), provided: c.module.Provides(route.EVSEManager), addTask: client.AddTask, call: c.forward.callSatellite,
		kept: kept, machine: occupancy.New(config), calls: make(chan occupancy.Call, maxCalls), deadlines: make(chan time.Time, 1),
		activeErrors: c.sinks.list,
	}
	e.view.Number, e.view.Changed = config.EVSE, c.changes.evse
	e.view.Link(false, time.Now())
	publish := c.relay.publish
	e.publish = func(ctx context.Context, id, variable string, value json.RawMessage) error {
		err := publish(ctx, id, variable, value)
		if err == nil && id == route.EVSEManager {
			e.view.Published(variable, value, time.Now())
		}
		return err
	}
	return e
}

// errorsChanged follows a change of the EVSE's active errors.
func (e *evse) errorsChanged() { e.view.Errors(e.activeErrors(), time.Now()) }

// counts returns how many ends of sessions were estimated, and how many of them came later.
func (e *evse) counts() (estimates, lateEnds uint64) {
	return e.estimates.Load(), e.lateEnds.Load()
}

// relay publishes a variable of the satellite as the machine decides.
func (e *evse) relay(ctx context.Context, id, variable string, value json.RawMessage) error {
	if id != route.EVSEManager && id != energy {
		return e.publish(ctx, id, variable, value)
	}
	return e.step(ctx, occupancy.Published{Variable: variable, Value: value, At: time.Now()})
}

// linked follows a link that carries commands from here on.
func (e *evse) linked(resumed bool) { e.queue(occupancy.Linked{Resumed: resumed, At: time.Now()}) }

// lost takes the EVSE out of service.
func (e *evse) lost(reason string) { e.queue(occupancy.Lost{Reason: reason, At: time.Now()}) }

func (e *evse) queue(event occupancy.Event) {
	e.addTask(func(ctx context.Context) {
		if err := e.step(ctx, event); err != nil && !errors.Is(err, errWithheld) {
			e.log.Error("what the main board has to know of its EVSE cannot be published", zap.Error(err))
		}
	})
}

// told follows a command of the main board.
func (e *evse) told(id, command string, arguments everest.Args) {
	if id != route.EVSEManager && id != energy {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.machine.Step(occupancy.Told{Command: command, Arguments: arguments, At: time.Now()}) // it asks for no action
}

func (e *evse) step(ctx context.Context, event occupancy.Event) error {
	e.mu.Lock()
	actions := e.machine.Step(event)
	e.mu.Unlock()
	var failures []error
	for _, action := range actions {
		failures = append(failures, e.carryOut(ctx, action))
	}
	return errors.Join(failures...)
}

func (e *evse) carryOut(ctx context.Context, action occupancy.Action) error {
	switch action := action.(type) {
	case occupancy.Publish:
		id := route.EVSEManager
		if action.Variable == occupancy.FlowRequest {
			id = energy
		}
		return e.publish(ctx, id, action.Variable, action.Value)
	case occupancy.Drop:
		if action.Reason == occupancy.LateEnd {
			e.lateEnds.Add(1)
		}
		e.log.Warn("a session event of the satellite is dropped", zap.Stringer("reason", action.Reason), zap.String("session_event", action.Kind),
			zap.String("session", action.Session), zap.Any("meter_value", action.Meter))
		return errWithheld
	case occupancy.Estimated:
		e.estimates.Add(1)
		e.log.Warn("the end of a session is estimated, because the satellite does not tell it", zap.String("session", action.Session),
			zap.Bool("transaction", action.Transaction), zap.Any("meter_value", action.Meter), zap.Time("ended", action.Ended))
	case occupancy.Raise:
		// EvseManager has the cause's name as the description, which OCPP 1.6 sends as vendorErrorCode.
		_, cause, _ := strings.Cut(communicationFault, "/")
		e.view.OutOfService(action.Message)
		defer e.errorsChanged()
		return e.provided.Raise(ctx, everest.Error{
			Type: inoperative, Severity: everest.SeverityHigh, Message: crossing.Named(e.board, action.Message), Description: cause,
		})
	case occupancy.Clear:
		e.view.OutOfService("")
		defer e.errorsChanged()
		return e.provided.Clear(ctx, inoperative, "")
	case occupancy.Call:
		select {
		case e.calls <- action:
		default: // the satellite is back and does not answer: it is lost again soon
		}
	case occupancy.SetDeadline:
		select {
		case <-e.deadlines:
		default:
		}
		e.deadlines <- action.At // only this goroutine sends
	case occupancy.Keep:
		e.kept.write(action.Kept)
	}
	return nil
}

// run waits for the machine's deadlines and calls its commands, until the link has ended.
func (e *evse) run(ended <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	var calling sync.WaitGroup
	calling.Go(func() { e.runCalls(ctx) })
	defer calling.Wait()
	defer cancel()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case at := <-e.deadlines:
			timer.Stop()
			if !at.IsZero() {
				timer.Reset(time.Until(at))
			}
		case <-timer.C:
			e.queue(occupancy.Tick{At: time.Now()})
		case <-ended:
			return
		}
	}
}

func (e *evse) runCalls(ctx context.Context) {
	for {
		select {
		case call := <-e.calls:
			e.log.Info("calling a command on behalf of the main board", zap.String("command", call.Command))
			e.call(ctx, route.EVSEManager, call.Command, call.Arguments)
		case <-ctx.Done():
			return
		}
	}
}
