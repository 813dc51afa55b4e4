package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

const (
	// authorizeLimit is how long the session waits for its authorisation. It is far
	// more than a busy machine needs.
	authorizeLimit = 30 * time.Second
	// resetDelay is how long a board takes to go down.
	resetDelay = 100 * time.Millisecond
	// recordedSession is the uuid of the recorded session, up to what differs with each round: the main board takes the
	// events of a session that is over for those of another board.
	recordedSession = "18bde0d2-5ae4-442c-be77-"
	recordedRound   = "216832dccdb2"
)

// SatelliteBoard plays the recordings of a charge port and answers its commands.
// Its methods that take a module set up the stand-ins of the satellite board.
type SatelliteBoard struct {
	account     Account
	definitions *schema.Definitions
	number      int
	speed       float64
	play        recording.Play
	// known reports whether the main board can raise an error of that type.
	known func(errorType string) bool

	// authorized holds a token from the arrival of the authorisation until the
	// session has reached it.
	authorized chan struct{}
	// reset is closed when the board has been asked to boot again.
	reset     chan struct{}
	resetOnce sync.Once

	mu       sync.Mutex
	provided map[[2]string]*everest.Provided // by module and implementation
	rounds   int                             // begun
}

// NewSatelliteBoard returns the stand-ins of the satellite board of that number,
// which plays at speed times the recorded pace.
func NewSatelliteBoard(known *schema.Definitions, account Account, number int, speed float64) (*SatelliteBoard, error) {
	play, err := recording.Whole()
	if err != nil {
		return nil, err
	}
	errorTypes, ok := known.Interface("satellite")
	if !ok {
		return nil, errors.New("interface satellite is not defined")
	}
	return &SatelliteBoard{
		account: account, definitions: known, number: number, speed: speed, play: play, known: errorTypes.HasErrorType,
		authorized: make(chan struct{}, 1), reset: make(chan struct{}), provided: map[[2]string]*everest.Provided{},
	}, nil
}

// AwaitReset returns an error once the system module was asked for a reset, so that
// the board ends as a board that boots again does.
func (b *SatelliteBoard) AwaitReset(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.reset:
		// A board does not go down at once: the caller gets its answer.
		if err := recording.Sleep(ctx, resetDelay); err != nil {
			return nil
		}
		return errors.New("the board boots again: its system module was asked for a reset")
	}
}

// Play plays the recordings once.
func (b *SatelliteBoard) Play(ctx context.Context) error {
	// What is left of a session that was broken off must not authorise this one.
	select {
	case <-b.authorized:
	default:
	}
	b.mu.Lock()
	b.rounds++
	b.mu.Unlock()
	return b.play.Run(ctx, b.speed, b.step)
}

// step carries out one step. It records the step first, so that no board can
// receive what is not recorded.
func (b *SatelliteBoard) step(ctx context.Context, step recording.Step) (waited time.Duration, err error) {
	if step.Await != "" {
		return b.awaitAuthorization(ctx)
	}
	provided, err := b.implementation(step.Module, step.Implementation)
	if err != nil {
		return 0, err
	}
	if step.Error != nil {
		return 0, b.raiseOrClear(ctx, provided, step)
	}
	value := b.ofThisRound(step.Value)
	expected := onMainBoard{b.number}.variable(step.Variable, value)
	b.account.Record(ledger.Variable(ledger.Published, b.number, step.Variable, expected))
	return 0, provided.Publish(ctx, step.Variable, value)
}

// ofThisRound returns a recorded value with the session of this round.
func (b *SatelliteBoard) ofThisRound(value json.RawMessage) json.RawMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rounds < 2 {
		return value
	}
	return bytes.ReplaceAll(value, []byte(recordedSession+recordedRound), fmt.Appendf(nil, "%s%012x", recordedSession, b.rounds))
}

func (b *SatelliteBoard) awaitAuthorization(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	limit := time.NewTimer(authorizeLimit)
	defer limit.Stop()
	select {
	case <-b.authorized:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-limit.C:
		b.account.Problem(b.number, fmt.Sprintf("%s did not arrive within %v", recording.CommandAuthorize, authorizeLimit))
	}
	return time.Since(start), nil
}

func (b *SatelliteBoard) raiseOrClear(ctx context.Context, provided *everest.Provided, step recording.Step) error {
	entry := ledger.ErrorEvent(ledger.Error, b.number, onMainBoard{b.number}.error(*step.Error), step.Error.State == everest.StateActive)
	if !b.known(step.Error.Type) {
		entry.Kind = ledger.ErrorUnknown
	}
	b.account.Record(entry)
	return provided.RelayError(ctx, step.Value, entry.Raised)
}

func (b *SatelliteBoard) implementation(module, implementation string) (*everest.Provided, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	provided := b.provided[[2]string{module, implementation}]
	if provided == nil {
		return nil, fmt.Errorf("the recording has module %s with implementation %s, which this board has not", module, implementation)
	}
	return provided, nil
}

// provide makes implementations known to the play.
func (b *SatelliteBoard) provide(module *everest.Module, implementations ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, implementation := range implementations {
		b.provided[[2]string{module.ID(), implementation}] = module.Provides(implementation)
	}
}

// Port stands in for EvseManager: it answers every command of its interfaces, and
// the play publishes its variables.
func (b *SatelliteBoard) Port(module *everest.Module) error {
	b.provide(module, "evse", "energy_grid")
	for _, implementation := range []string{"evse", "energy_grid", "random_delay", "dc_external_derate"} {
		if err := AnswerAll(b.definitions, module.Provides(implementation), b.portAnswer); err != nil {
			return err
		}
	}
	return nil
}

// portAnswer answers as the recorded EvseManager did, and records the command.
func (b *SatelliteBoard) portAnswer(command *schema.Command, arguments everest.Args) json.RawMessage {
	answer := PlausibleAnswer(command)
	expected := answer
	switch command.Name {
	case recording.CommandAuthorize:
		select {
		case b.authorized <- struct{}{}:
		default: // the one before was not taken yet
		}
	case "get_evse":
		const evse = `{"connectors":[{"id":1,"type":"Unknown"}],"id":%d}`
		answer, expected = json.RawMessage(fmt.Sprintf(evse, 1)), json.RawMessage(fmt.Sprintf(evse, EVSE(b.number)))
	}
	b.account.Record(ledger.Entry{
		Kind: ledger.Served, Satellite: b.number, Name: command.Name, Label: "call",
		Digest: ledger.DigestArguments(onMainBoard{b.number}.arguments(command.Name, arguments)), Answer: ledger.Digest(expected),
	})
	return answer
}

// BoardSupport stands in for the module that switches the power. It only has
// errors to raise here.
func (b *SatelliteBoard) BoardSupport(module *everest.Module) error {
	b.provide(module, "board_support")
	return AnswerAll(b.definitions, module.Provides("board_support"), PlainAnswer)
}

// TokenReader stands in for an RFID reader that shows the status of a token.
func (b *SatelliteBoard) TokenReader(module *everest.Module) error {
	b.provide(module, "main")
	for _, auth := range module.Requires("auth") {
		auth.Subscribe("token_validation_status", func(_ context.Context, value json.RawMessage) {
			b.account.Record(ledger.Variable(ledger.PushArrived, b.number, "token_validation_status", value))
		})
	}
	return nil
}

// System stands in for System, whose reset boots the board again.
func (b *SatelliteBoard) System(module *everest.Module) error {
	return AnswerAll(b.definitions, module.Provides("main"), func(command *schema.Command, _ everest.Args) json.RawMessage {
		if command.Name == "reset" {
			b.resetOnce.Do(func() { close(b.reset) })
		}
		return PlausibleAnswer(command)
	})
}
