package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

const (
	// limitsInterval is how often the energy manager and OCPP call a charge port,
	// in the time of the recording.
	limitsInterval = time.Second
	// presentAfter is how long the driver takes to present a card, in the time of
	// the recording.
	presentAfter = time.Second
)

// Account is where stand-ins record what they send and receive.
type Account struct {
	Record  func(ledger.Entry)
	Problem func(satellite int, text string)
}

// MainBoard plays what a main board does with its satellites: it authorises
// sessions, sends limits, asks for the state of charge ports, and switches them off
// and on. Its methods that take a module set up the stand-ins of the main board.
type MainBoard struct {
	account     Account
	definitions *schema.Definitions
	satellites  int
	speed       float64
	limits      []json.RawMessage
	authorize   authorization
	calls       atomic.Uint64

	mu sync.Mutex
	// evses and energies are the satellites' charge ports, by satellite from 0.
	evses, energies []*everest.Required
	// requested is closed for each satellite when its charge port has asked for energy.
	requested []chan struct{}
	// finish ends the calling that finished waits for; both nil while nobody calls.
	finish, finished chan struct{}
	pushing          sync.Mutex
}

// NewMainBoard returns the stand-ins of a main board. Its satellites play at speed times the recorded pace.
func NewMainBoard(known *schema.Definitions, account Account, satellites int, speed float64) (*MainBoard, error) {
	session, err := recording.ChargingSession()
	if err != nil {
		return nil, err
	}
	limits, err := recording.CommandArguments(session, "enforce_limits")
	if err != nil {
		return nil, err
	}
	authorize, err := recordedAuthorization(session)
	if err != nil {
		return nil, err
	}
	return &MainBoard{account: account, definitions: known, satellites: satellites, speed: speed, limits: limits, authorize: authorize}, nil
}

// Call calls every charge port again and again, until Finish or the end of ctx.
func (b *MainBoard) Call(ctx context.Context) {
	finish, finished := make(chan struct{}), make(chan struct{})
	b.mu.Lock()
	b.finish, b.finished = finish, finished
	evses, energies, requested := b.evses, b.energies, b.requested
	b.mu.Unlock()
	defer close(finished)

	interval := recording.Scale(limitsInterval, b.speed)
	var calling sync.WaitGroup
	for i, evse := range evses {
		calling.Go(func() {
			b.call(ctx, i+1, evse, "enable_disable", enableDisable("Enable"))
			repeat(ctx, interval, finish, func(int) { b.call(ctx, i+1, evse, "get_evse", nil) })
		})
	}
	for i, energy := range energies {
		calling.Go(func() {
			select { // limits answer a request, as the real module's do
			case <-requested[i]:
			case <-finish:
				return
			case <-ctx.Done():
				return
			}
			repeat(ctx, interval, finish, func(round int) {
				b.call(ctx, i+1, energy, "enforce_limits", limitsFor(energy.ModuleID(), b.limits[round%len(b.limits)]))
			})
		})
	}
	calling.Wait()
}

// Finish lets the calls under way end. Then it takes every charge port out of
// service and back into it, as OCPP does for maintenance.
func (b *MainBoard) Finish(ctx context.Context) {
	b.mu.Lock()
	finish, finished, evses := b.finish, b.finished, b.evses
	b.finish, b.finished = nil, nil
	b.mu.Unlock()
	if finish == nil {
		return
	}
	close(finish)
	<-finished
	var calling sync.WaitGroup
	for i, evse := range evses {
		calling.Go(func() {
			b.call(ctx, i+1, evse, "enable_disable", enableDisable("Disable"))
			b.call(ctx, i+1, evse, "enable_disable", enableDisable("Enable"))
		})
	}
	calling.Wait()
}

func enableDisable(state string) json.RawMessage {
	return json.RawMessage(`{"connector_id":0,"cmd_source":{"enable_source":"CSMS","enable_state":"` + state + `","enable_priority":100}}`)
}

// repeat calls do at once and then at each interval.
func repeat(ctx context.Context, interval time.Duration, finish <-chan struct{}, do func(round int)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for round := 0; ; round++ {
		do(round)
		select {
		case <-ticker.C:
		case <-finish:
			return
		case <-ctx.Done():
			return
		}
	}
}

// call calls a command, waits for the answer, and records both. Arguments are a
// JSON object, or nil.
func (b *MainBoard) call(ctx context.Context, satellite int, required *everest.Required, command string, arguments json.RawMessage) {
	byName := map[string]json.RawMessage{}
	if arguments != nil {
		if err := json.Unmarshal(arguments, &byName); err != nil {
			b.account.Problem(satellite, fmt.Sprintf("arguments of %s: %v", command, err))
			return
		}
	}
	entry := ledger.Entry{
		Kind: ledger.Called, Satellite: satellite, Name: command, Label: "call",
		Digest: ledger.DigestArguments(byName), Call: b.calls.Add(1),
	}
	b.account.Record(entry)
	var answer json.RawMessage
	err := required.Call(ctx, command, arguments, &answer)
	if ctx.Err() != nil {
		return // the board ends, and nobody waits for the answer any more
	}
	entry.Kind, entry.Digest = ledger.Answered, ""
	if err != nil {
		entry.Failure = err.Error()
	} else {
		entry.Answer = ledger.Digest(answer)
	}
	b.account.Record(entry)
}

// EnergyManager stands in for the module that distributes the power.
func (b *MainBoard) EnergyManager(module *everest.Module) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.energies = module.Requires("energy")
	for _, energy := range b.energies {
		var first sync.Once
		requested := make(chan struct{})
		energy.Subscribe("energy_flow_request", func(context.Context, json.RawMessage) {
			first.Do(func() { close(requested) })
		})
		b.requested = append(b.requested, requested)
	}
	return nil
}

// OCPP stands in for the module that speaks with the backend.
func (b *MainBoard) OCPP(module *everest.Module) error {
	module.Provides("auth_validator").Handle("validate_token", func(context.Context, everest.Args) (any, error) {
		return b.authorize.result, nil
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.evses = module.Requires("evse_manager")
	return nil
}

// System stands in for System. Nobody resets the main board here.
func (b *MainBoard) System(module *everest.Module) error {
	return AnswerAll(b.definitions, module.Provides("main"), PlainAnswer)
}

// API stands in for a module that sees everything. All variables of a satellite
// come in one queue, which keeps their order.
func (b *MainBoard) API(module *everest.Module) error {
	for i := range b.satellites {
		number := i + 1
		queue := module.NewQueue(fmt.Sprintf("satellite%d", number))
		arrived := func(variable string, value json.RawMessage) {
			b.account.Record(ledger.Variable(ledger.Arrived, number, variable, value))
		}
		for _, requirement := range []string{"evse_manager", "energy"} {
			if err := SubscribeAll(b.definitions, module.Requires(requirement)[i], queue, arrived); err != nil {
				return err
			}
		}
		for _, implementation := range []string{"satellite", "evse_manager"} {
			module.Requires(implementation)[i].SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
				b.account.Record(ledger.ErrorEvent(ledger.ErrorArrived, number, event.Error, event.Raised))
			})
		}
	}
	return nil
}

// authorization is what the recorded Auth sent and received.
type authorization struct {
	token, result json.RawMessage
	arguments     json.RawMessage
	// announced are the values of token_validation_status, in their order.
	announced []json.RawMessage
}

func recordedAuthorization(session []recording.Row) (authorization, error) {
	calls, err := recording.CommandArguments(session, recording.CommandAuthorize)
	if err != nil {
		return authorization{}, err
	}
	var arguments struct {
		Token  json.RawMessage `json:"provided_token"`
		Result json.RawMessage `json:"validation_result"`
	}
	if err := json.Unmarshal(calls[0], &arguments); err != nil {
		return authorization{}, fmt.Errorf("recorded %s: %w", recording.CommandAuthorize, err)
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

// Auth stands in for Auth: when a session asks for it, a driver presents a card,
// OCPP validates the card, and the charge port gets the result.
func (b *MainBoard) Auth(module *everest.Module) error {
	if err := AnswerAll(b.definitions, module.Provides("main"), PlainAnswer); err != nil {
		return err
	}
	main, validator := module.Provides("main"), module.Requires("token_validator")[0]
	for i, evse := range module.Requires("evse_manager") {
		everest.Subscribe(evse, "session_event", func(ctx context.Context, event struct{ Event string }) {
			if event.Event != "AuthRequired" {
				return
			}
			if err := b.authorizeSession(ctx, main, validator, i+1, evse); err != nil && ctx.Err() == nil {
				b.account.Problem(i+1, "authorisation: "+err.Error())
			}
		})
	}
	return nil
}

func (b *MainBoard) authorizeSession(ctx context.Context, main *everest.Provided, validator *everest.Required, satellite int, evse *everest.Required) error {
	if err := recording.Sleep(ctx, recording.Scale(presentAfter, b.speed)); err != nil {
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
	b.call(ctx, satellite, evse, recording.CommandAuthorize, b.authorize.arguments)
	return b.push(ctx, main, b.authorize.announced[2])
}

// push publishes a token's status, which every satellite gets. One at a time: the
// entries must have the order of the messages.
func (b *MainBoard) push(ctx context.Context, main *everest.Provided, status json.RawMessage) error {
	b.pushing.Lock()
	defer b.pushing.Unlock()
	for i := range b.satellites {
		b.account.Record(ledger.Variable(ledger.Pushed, i+1, "token_validation_status", status))
	}
	return main.Publish(ctx, "token_validation_status", status)
}
