package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
)

// presentAfter is how long the driver takes to present a card, in the time of
// the recording.
const presentAfter = time.Second

// caller calls a satellite's commands and reports calls and answers.
type caller struct {
	satellite int
	required  *everest.Required
	report    *Reporter
	calls     *atomic.Uint64
}

func (b *mainBoard) callers(required []*everest.Required, calls *atomic.Uint64) []*caller {
	var callers []*caller
	for i, connection := range required {
		callers = append(callers, &caller{satellite: i + 1, required: connection, report: b.report, calls: calls})
	}
	return callers
}

// call calls and waits for the answer. Arguments are a JSON object, or nil.
func (c *caller) call(ctx context.Context, command string, arguments json.RawMessage) {
	byName := map[string]json.RawMessage{}
	if arguments != nil {
		if err := json.Unmarshal(arguments, &byName); err != nil {
			c.report.Report(Report{Kind: KindProblem, Satellite: c.satellite, Label: fmt.Sprintf("arguments of %s: %v", command, err)})
			return
		}
	}
	entry := ledger.Entry{
		Kind: ledger.Called, Satellite: c.satellite, Name: command, Label: "call",
		Digest: ledger.DigestArguments(byName), Call: c.calls.Add(1),
	}
	c.report.Record(entry)
	var answer json.RawMessage
	err := c.required.Call(ctx, command, arguments, &answer)
	if ctx.Err() != nil {
		return // the board ends, and nobody waits for the answer any more
	}
	entry.Kind, entry.Digest = ledger.Answered, ""
	if err != nil {
		entry.Failure = err.Error()
	} else {
		entry.Answer = ledger.Digest(answer)
	}
	c.report.Record(entry)
}

// energyManager stands in for the module that shares the power out.
func (b *mainBoard) energyManager(module *everest.Module) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.energies = b.callers(module.Requires("energy"), new(atomic.Uint64))
	return nil
}

// ocpp stands in for the module that speaks with the backend.
func (b *mainBoard) ocpp(module *everest.Module) error {
	module.Provides("auth_validator").Handle("validate_token", func(context.Context, everest.Args) (any, error) {
		return b.authorize.result, nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evses = b.callers(module.Requires("evse_manager"), new(atomic.Uint64))
	return nil
}

// system stands in for System. Nobody resets the main board here.
func (b *mainBoard) system(module *everest.Module) error {
	return standin.AnswerAll(b.definitions, module.Provides("main"), standin.PlainAnswer)
}

// api stands in for a module that sees everything. All variables of a satellite
// come in one queue: so it sees their order.
func (b *mainBoard) api(module *everest.Module) error {
	for i := range b.config.Ports {
		number := i + 1
		queue := module.NewQueue(connectorName(number))
		arrived := func(variable string, value json.RawMessage) {
			b.report.Record(ledger.Variable(ledger.Arrived, number, variable, value))
		}
		for _, requirement := range []string{"evse_manager", "energy"} {
			if err := standin.SubscribeAll(b.definitions, module.Requires(requirement)[i], queue, arrived); err != nil {
				return err
			}
		}
		module.Requires(interfaceSatellite)[i].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
			b.report.Record(ledger.ErrorEvent(ledger.ErrorArrived, number, event.Error, event.Raised))
		})
	}
	return nil
}

// authorization is what the recorded Auth said and got to know.
type authorization struct {
	token, result json.RawMessage
	arguments     json.RawMessage
	// announced are the values of token_validation_status, in their order.
	announced []json.RawMessage
}

func recordedAuthorization(session []recording.Row) (authorization, error) {
	calls, err := recording.CommandArguments(session, commandAuthorize)
	if err != nil {
		return authorization{}, err
	}
	var arguments struct {
		Token  json.RawMessage `json:"provided_token"`
		Result json.RawMessage `json:"validation_result"`
	}
	if err := json.Unmarshal(calls[0], &arguments); err != nil {
		return authorization{}, fmt.Errorf("recorded %s: %w", commandAuthorize, err)
	}
	recorded := authorization{token: arguments.Token, result: arguments.Result, arguments: calls[0]}
	for _, row := range session {
		if row.Kind == "var" && row.Name == "token_validation_status" {
			recorded.announced = append(recorded.announced, row.Value)
		}
	}
	if len(recorded.announced) != 3 {
		return authorization{}, fmt.Errorf("the recording announces %d steps of the token's validation, want Processing, Accepted and UsedToStart", len(recorded.announced))
	}
	return recorded, nil
}

// auth stands in for Auth: when a session asks for it, a driver presents a card,
// which OCPP knows, and the charge port that asked is told.
func (b *mainBoard) auth(module *everest.Module) error {
	if err := standin.AnswerAll(b.definitions, module.Provides("main"), standin.PlainAnswer); err != nil {
		return err
	}
	main, validator := module.Provides("main"), module.Requires("token_validator")[0]
	for _, evse := range b.callers(module.Requires("evse_manager"), new(atomic.Uint64)) {
		everest.Subscribe(evse.required, "session_event", func(ctx context.Context, event struct{ Event string }) {
			if event.Event != "AuthRequired" {
				return
			}
			if err := b.authorizeSession(ctx, main, validator, evse); err != nil && ctx.Err() == nil {
				b.report.Report(Report{Kind: KindProblem, Satellite: evse.satellite, Label: "authorisation: " + err.Error()})
			}
		})
	}
	return nil
}

func (b *mainBoard) authorizeSession(ctx context.Context, main *everest.Provided, validator *everest.Required, evse *caller) error {
	if err := recording.Sleep(ctx, scale(presentAfter, b.config.Speed)); err != nil {
		return err
	}
	if err := b.push(ctx, main, b.authorize.announced[0]); err != nil {
		return err
	}
	if err := validator.Call(ctx, "validate_token", map[string]json.RawMessage{"provided_token": b.authorize.token}, nil); err != nil {
		return err
	}
	if err := b.push(ctx, main, b.authorize.announced[1]); err != nil {
		return err
	}
	evse.call(ctx, commandAuthorize, b.authorize.arguments)
	return b.push(ctx, main, b.authorize.announced[2])
}

// push publishes a token's status, which every satellite gets. One at a time: the
// order of the reports has to be that of the messages.
func (b *mainBoard) push(ctx context.Context, main *everest.Provided, status json.RawMessage) error {
	b.pushing.Lock()
	defer b.pushing.Unlock()
	for i := range b.config.Ports {
		b.report.Record(ledger.Variable(ledger.Pushed, i+1, "token_validation_status", status))
	}
	return main.Publish(ctx, "token_validation_status", status)
}
