package strict

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// auth stands in for Auth. It knows each EVSE by the id that get_evse returned at the start: of two EVSEs with one id, it
// knows the second. A token with connectors is for the EVSEs of those ids. Any other is for the EVSE where a car was
// plugged in first, else for the first free one.
type auth struct {
	log       *zap.Logger
	module    *everest.Module
	main      *everest.Provided
	validator *everest.Required
	ports     []*everest.Required

	mu      sync.Mutex
	started bool
	waiting []func() error // what arrived before the start
	evses   map[int]*authEVSE
	plugged []int           // EVSEs with a car and without a token, the first one first
	busy    map[string]bool // tokens that are being handled
}

// authEVSE is what Auth knows of an EVSE.
type authEVSE struct {
	index                       int
	token                       *token
	transaction                 bool
	occupied, faulted, disabled bool
}

func (e *authEVSE) available() bool {
	return e.token == nil && !e.occupied && !e.faulted && !e.disabled
}
func (e *authEVSE) unavailable() bool { return e.disabled }

func newAuth(log *zap.Logger) *auth {
	return &auth{log: log, evses: map[int]*authEVSE{}, busy: map[string]bool{}}
}

func (a *auth) setUp(module *everest.Module) error {
	a.module, a.main = module, module.Provides("main")
	a.validator, a.ports = module.Requires("token_validator")[0], module.Requires("evse_manager")
	for _, provider := range module.Requires("token_provider") {
		provider.Subscribe("provided_token", a.provided)
	}
	for index, port := range a.ports {
		port.Subscribe("session_event", func(_ context.Context, value json.RawMessage) {
			a.arrived(func() error { return a.sessionEvent(index, value) })
		})
		port.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
			if event.Error.Type == "evse_manager/Inoperative" {
				a.arrived(func() error { return a.fault(index, event.Raised) })
			}
		})
	}
	for command, answer := range map[string]any{
		"set_connection_timeout": nil, "set_master_pass_group_id": nil, "withdraw_authorization": "AuthorizationNotFound",
	} {
		a.main.Handle(command, func(context.Context, everest.Args) (any, error) { return answer, nil })
	}
	module.OnReady(a.start)
	return nil
}

// start asks each EVSE for its id, and then handles what has arrived before.
func (a *auth) start(ctx context.Context) error {
	evses := map[int]*authEVSE{}
	for index, port := range a.ports {
		found, err := everest.Call[struct{ ID int }](ctx, port, "get_evse", nil)
		if err != nil {
			return fmt.Errorf("get_evse of EVSE %d: %w", index+1, err)
		}
		if found.ID > 0 {
			evses[found.ID] = &authEVSE{index: index}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.evses = evses
	for _, handle := range a.waiting {
		if err := handle(); err != nil {
			// The real module throws while it is getting ready, and so never takes a token.
			a.log.Error("Auth does not start", zap.Error(err))
			return nil
		}
	}
	a.waiting, a.started = nil, true
	return nil
}

func (a *auth) arrived(handle func() error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started {
		a.waiting = append(a.waiting, handle)
	} else if err := handle(); err != nil {
		a.drop("session event or error", err)
	}
}

// at returns the EVSE of an index.
func (a *auth) at(index int) (int, *authEVSE, error) {
	for id, evse := range a.evses {
		if evse.index == index {
			return id, evse, nil
		}
	}
	return 0, nil, fmt.Errorf("no EVSE has the index %d", index)
}

func (a *auth) drop(what string, err error) {
	a.log.Error(what+" is dropped", zap.Error(err))
}

func (a *auth) sessionEvent(index int, value json.RawMessage) error {
	event, err := parseSessionEvent(value)
	if err != nil {
		a.drop("session event", err) // the framework drops it before Auth gets it
		return nil
	}
	id, evse, err := a.at(index)
	if err != nil {
		return err
	}
	switch event.Event {
	case "SessionStarted":
		if event.Started != nil && event.Started.Reason == "EVConnected" {
			a.plugged = append(a.plugged, id)
		}
	case "TransactionStarted":
		evse.transaction, evse.occupied = true, true
	case "TransactionFinished":
		evse.transaction, evse.token = false, nil
	case "SessionFinished":
		evse.token, evse.occupied = nil, false
		a.unqueue(id)
	case "Deauthorized":
		evse.token = nil
	case "Enabled":
		evse.disabled = false
	case "Disabled":
		evse.disabled = true
	}
	return nil
}

func (a *auth) fault(index int, raised bool) error {
	_, evse, err := a.at(index)
	if err == nil {
		evse.faulted = raised
	}
	return err
}

func (a *auth) unqueue(id int) {
	a.plugged = slices.DeleteFunc(a.plugged, func(other int) bool { return other == id })
}

// provided handles a token.
func (a *auth) provided(ctx context.Context, value json.RawMessage) {
	presented, err := parseToken(value)
	if err != nil {
		a.drop("token", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	referenced := a.referenced(presented)
	if !a.started || a.isBusy(presented, referenced) {
		return
	}
	a.busy[presented.ID.Value] = true
	defer delete(a.busy, presented.ID.Value)
	a.report(ctx, value, "Processing")
	status, chosen := a.handle(ctx, value, presented, referenced)
	if chosen != 0 {
		value = presented.at(chosen)
	}
	a.report(ctx, value, status)
}

func (a *auth) report(ctx context.Context, presented json.RawMessage, status string) {
	// A broker that is gone ends the module elsewhere.
	_ = a.main.Publish(ctx, "token_validation_status", map[string]any{"token": presented, "status": status, "messages": []any{}})
}

// referenced returns the ids of the EVSEs that a token may be for, in the order of the ids or of the token.
func (a *auth) referenced(presented token) []int {
	ids := presented.Connectors
	if ids == nil {
		ids = slices.Sorted(maps.Keys(a.evses))
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return a.evses[id] == nil || a.evses[id].unavailable() })
}

func (a *auth) isBusy(presented token, referenced []int) bool {
	return a.busy[presented.ID.Value] || slices.ContainsFunc(referenced, func(id int) bool {
		evse := a.evses[id]
		return evse.token != nil && evse.token.is(presented.ID.Value) && !evse.transaction
	})
}

// handle returns the final status of a token and the id of the EVSE that it was used for, 0 for none.
func (a *auth) handle(ctx context.Context, value json.RawMessage, presented token, referenced []int) (string, int) {
	if presented.AuthorizationType == "RFID" {
		for _, id := range referenced {
			if evse := a.evses[id]; evse.token != nil && evse.token.is(presented.ID.Value) {
				a.stop(ctx, evse, value)
				return "UsedToStop", id
			}
		}
	}
	isFree := func(id int) bool { return a.evses[id].available() }
	if !slices.ContainsFunc(referenced, isFree) {
		return "Rejected", 0
	}
	text, result, err := a.validate(ctx, value, presented)
	if err != nil {
		a.drop("validation", err)
		return "Rejected", 0
	}
	referenced = slices.DeleteFunc(referenced, func(id int) bool { return a.evses[id].token != nil })
	if result.Status != "Accepted" || len(referenced) == 0 {
		return "Rejected", 0
	}
	a.report(ctx, value, "Accepted")
	chosen := a.choose(referenced, isFree)
	if chosen == 0 {
		return "TimedOut", 0
	}
	evse := a.evses[chosen]
	evse.token = &presented
	a.unqueue(chosen)
	arguments := map[string]json.RawMessage{"provided_token": presented.at(chosen), "validation_result": text}
	if err := a.ports[evse.index].Call(ctx, "authorize_response", arguments, nil); err != nil && ctx.Err() == nil {
		a.module.Fail(fmt.Errorf("authorize_response of EVSE %d: %w", chosen, err))
	}
	return "UsedToStart", chosen
}

// validate asks the validator, without the lock.
func (a *auth) validate(ctx context.Context, value json.RawMessage, presented token) (text json.RawMessage, result validation, err error) {
	if presented.Prevalidated {
		text = json.RawMessage(`{"authorization_status":"Accepted","tariff_messages":[]}`)
	} else {
		a.mu.Unlock()
		text, err = everest.Call[json.RawMessage](ctx, a.validator, "validate_token", map[string]json.RawMessage{"provided_token": value})
		a.mu.Lock()
	}
	if err == nil {
		result, err = parseValidation(text)
	}
	return text, result, err
}

func (a *auth) choose(referenced []int, isFree func(int) bool) int {
	if len(referenced) == 1 {
		return referenced[0]
	}
	for _, id := range a.plugged {
		if slices.Contains(referenced, id) && !a.evses[id].transaction {
			return id
		}
	}
	if i := slices.IndexFunc(referenced, isFree); i >= 0 {
		return referenced[i]
	}
	return 0
}

func (a *auth) stop(ctx context.Context, evse *authEVSE, presented json.RawMessage) {
	request := map[string]any{"request": map[string]any{"reason": "Local", "id_tag": presented}}
	if err := a.ports[evse.index].Call(ctx, "stop_transaction", request, nil); err != nil && ctx.Err() == nil {
		a.module.Fail(fmt.Errorf("stop_transaction of EVSE %d: %w", evse.index+1, err))
	}
}
