package strict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// ocpp stands in for OCPP 1.6. It sends what the backend would get. It connects when every EVSE is ready, and reports an
// error at the EVSE of the mapping of the error's origin, which is the whole station where there is no mapping. Until the
// backend has accepted it, it keeps only the messages of transactions, and forgets every other one.
type ocpp struct {
	board *Board
	ports []*everest.Required

	mu      sync.Mutex
	started bool
	waiting []func() // what arrived before the start
	// registered: BootNotification is Accepted. unsent are the messages of transactions that came before.
	registered bool
	unsent     []func()
	ready      []bool
	waits      []bool        // for external_ready_to_start_charging
	resumed    map[int]bool  // the EVSEs whose session was resumed before the start
	changed    chan struct{} // has a value after a change of ready
	// connectors are those of the backend: 0 is the station, and each EVSE has one.
	connectors []*ocppConnector
}

func newOCPP(board *Board, _ *errorManager) *ocpp {
	return &ocpp{board: board, changed: make(chan struct{}, 1), resumed: map[int]bool{}}
}

func (o *ocpp) setUp(module *everest.Module) error {
	o.ports = module.Requires("evse_manager")
	o.ready, o.waits = make([]bool, len(o.ports)), make([]bool, len(o.ports))
	for index, port := range o.ports {
		port.Subscribe("session_event", func(_ context.Context, value json.RawMessage) {
			o.noteResumed(index+1, value)
			o.arrived(func() { o.sessionEvent(index+1, value) })
		})
		port.Subscribe("powermeter", func(_ context.Context, value json.RawMessage) {
			o.arrived(func() { o.board.memory().read(index+1, registerOf(value)) })
		})
		for variable, states := range map[string][]bool{"ready": o.ready, "waiting_for_external_ready": o.waits} {
			everest.Subscribe(port, variable, func(_ context.Context, state bool) {
				o.mu.Lock()
				states[index] = state
				o.mu.Unlock()
				select {
				case o.changed <- struct{}{}:
				default:
				}
			})
		}
	}
	module.OnReady(o.start)
	return nil
}

var errNotCounting = errors.New("the ids of get_evse must count up from 1")

func (o *ocpp) start(ctx context.Context) error {
	for index, port := range o.ports {
		found, err := everest.Call[struct{ ID int }](ctx, port, "get_evse", nil)
		if err != nil {
			return fmt.Errorf("get_evse of EVSE %d: %w", index+1, err)
		}
		if found.ID != index+1 {
			// The real module throws while it is getting ready, and so never connects.
			o.board.logger().Error("OCPP does not start", zap.Int("evse", index+1), zap.Int("get_evse", found.ID), zap.Error(errNotCounting))
			return nil
		}
	}
	for !o.allReady() {
		select {
		case <-o.changed:
		case <-ctx.Done():
			return nil
		}
	}
	for _, port := range o.ports {
		// As the real module, it calls this once in its life. An EVSE that is away does not stop it.
		_ = port.Call(ctx, "external_ready_to_start_charging", nil, nil)
	}
	o.boot()
	select {
	case <-time.After(registration):
		o.register()
	case <-ctx.Done():
	}
	return nil
}

// registration is how long the backend takes to answer BootNotification.
const registration = 50 * time.Millisecond

func (o *ocpp) boot() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deliver("BootNotification", map[string]any{"chargePointVendor": "stand-in", "chargePointModel": "stand-in"})
	for id := range len(o.ports) + 1 {
		o.connectors = append(o.connectors, &ocppConnector{id: id, status: available, send: o.send})
	}
	o.closeLeft()
	o.started = true
	for _, handle := range o.waiting {
		handle()
	}
	o.waiting = nil
}

// register takes it that the backend has accepted the station. It gets the state of every connector, and what was kept.
func (o *ocpp) register() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.registered = true
	for _, connector := range o.connectors {
		connector.report()
	}
	for _, send := range o.unsent {
		send()
	}
	o.unsent = nil
}

func (o *ocpp) allReady() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for index, ready := range o.ready {
		if !ready && !o.waits[index] {
			return false
		}
	}
	return true
}

func (o *ocpp) send(action string, payload map[string]any) {
	switch {
	case o.registered:
		o.deliver(action, payload)
	case action == "StartTransaction" || action == "StopTransaction":
		o.unsent = append(o.unsent, func() { o.deliver(action, payload) })
	}
}

func (o *ocpp) deliver(action string, payload map[string]any) {
	if o.board.Backend != nil {
		o.board.Backend(action, payload)
	}
}

func (o *ocpp) arrived(handle func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.started {
		handle()
	} else {
		o.waiting = append(o.waiting, handle)
	}
}

func (o *ocpp) raised(reported errorObject) {
	o.arrived(func() {
		if connector := o.of(reported); connector != nil {
			connector.raise(reported)
		}
	})
}

func (o *ocpp) cleared(reported errorObject) {
	o.arrived(func() {
		if connector := o.of(reported); connector != nil {
			connector.clear(reported.UUID)
		}
	})
}

// of returns the connector of an error, nil where the station has no such EVSE.
func (o *ocpp) of(reported errorObject) *ocppConnector {
	evse := 0
	if reported.Origin.Mapping != nil {
		evse = reported.Origin.Mapping.EVSE
	}
	if evse < 0 || evse >= len(o.connectors) {
		return nil
	}
	return o.connectors[evse]
}

// noteResumed keeps that an EVSE has resumed its session before the start.
func (o *ocpp) noteResumed(evse int, value json.RawMessage) {
	event, err := parseSessionEvent(value)
	if err != nil || event.Event != "SessionResumed" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.resumed[evse] = true
}

func (o *ocpp) sessionEvent(evse int, value json.RawMessage) {
	event, err := parseSessionEvent(value)
	if err != nil {
		return // the framework logs and drops it
	}
	connector := o.connectors[evse]
	switch event.Event {
	case "SessionStarted":
		connector.move("Preparing")
	case "TransactionStarted":
		if event.Transaction == nil {
			return
		}
		presented, err := parseToken(event.Transaction.Token)
		if err != nil {
			return
		}
		connector.transaction = o.board.memory().begin(evse)
		o.send("StartTransaction", map[string]any{"connectorId": evse, "idTag": presented.ID.Value, "meterStart": 0, "timestamp": timestamp()})
	case "ChargingStarted":
		connector.move("Charging")
	case "ChargingPausedEVSE":
		connector.move("SuspendedEVSE")
	case "TransactionFinished":
		o.stopTransaction(connector, event)
	case "SessionFinished", "Enabled":
		connector.move(available)
	case "Disabled":
		connector.move("Unavailable")
	}
}

// stopTransaction ends the transaction of the connector, whichever session the event is of.
func (o *ocpp) stopTransaction(connector *ocppConnector, event sessionEvent) {
	if connector.transaction == 0 {
		return
	}
	reason, register := "", 0.0
	if event.Finished != nil {
		reason, register = event.Finished.Reason, registerOf(event.Finished.Meter)
	}
	o.board.memory().end(connector.id)
	o.send("StopTransaction", map[string]any{
		"transactionId": connector.transaction, "reason": reason, "meterStop": int(register), "timestamp": timestamp(),
	})
	connector.transaction = 0
	connector.move("Finishing")
}
