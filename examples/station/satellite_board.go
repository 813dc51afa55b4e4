package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/satellite"
)

// Modules of a satellite board, by the ids that they have in the recordings.
const (
	moduleConnector = "connector"
	modulePowerpath = "powerpath"
	moduleRFID      = "rfid"
	moduleSystem    = "system"
	moduleAgent     = "remote_controller"
)

// interfaceSatellite carries the satellites' errors on the main board.
const interfaceSatellite = "satellite"

// authorizeLimit is how long the session waits for its authorisation. It is far
// more than a busy machine needs.
const authorizeLimit = 30 * time.Second

// resetDelay is how long a board takes to go down.
const resetDelay = 100 * time.Millisecond

// statusInterval is how often a board looks whether its link has changed.
const statusInterval = 100 * time.Millisecond

// satelliteBoard is a board with a charge port that replays the recordings.
type satelliteBoard struct {
	config      BoardConfig
	definitions *schema.Definitions
	report      *Reporter
	play        Play
	// known are the errors that the main board can raise.
	known func(errorType string) bool

	// authorized holds a token while the authorisation has come and the session
	// has not got to it.
	authorized chan struct{}
	// reset is closed when the board has been asked to boot again.
	reset     chan struct{}
	resetOnce sync.Once

	mu       sync.Mutex
	provided map[[2]string]*everest.Provided // by module and implementation
}

func newSatelliteBoard(config BoardConfig, known *schema.Definitions, report *Reporter) (*satelliteBoard, error) {
	play, err := recordedPlay()
	if err != nil {
		return nil, err
	}
	errorTypes, ok := known.Interface(interfaceSatellite)
	if !ok {
		return nil, fmt.Errorf("interface %s is not defined", interfaceSatellite)
	}
	return &satelliteBoard{
		config:      config,
		definitions: known,
		report:      report,
		play:        play,
		known:       errorTypes.HasErrorType,
		authorized:  make(chan struct{}, 1),
		reset:       make(chan struct{}),
		provided:    map[[2]string]*everest.Provided{},
	}, nil
}

func recordedPlay() (Play, error) {
	session, err := recording.ChargingSession()
	if err != nil {
		return Play{}, err
	}
	errors, err := recording.ErrorSeries()
	if err != nil {
		return Play{}, err
	}
	return NewPlay(session, errors)
}

func (b *satelliteBoard) modules() []boardModule {
	// On the main board the local port is EVSE 1, so the first satellite's is 2.
	mapping := &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: b.config.Satellite + 1}}
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	return []boardModule{
		{id: moduleConnector, config: standin.Config("EvseManager", mapping, nil), run: b.port},
		{id: modulePowerpath, config: standin.Config("BoardSupport", mapping, nil), run: b.powerpath},
		{id: moduleRFID, config: standin.Config("TokenReader", mapping, map[string][]everesttest.Connection{
			"auth": to(moduleAgent, "auth"),
		}), run: b.reader},
		{id: moduleSystem, config: standin.Config("System", nil, nil), run: b.system},
		{id: moduleAgent, config: everesttest.ModuleConfig{
			Module:   "SatelliteAgent",
			Manifest: satellite.AgentInstallation().Manifest,
			Config:   map[string]any{"port": b.config.Ports[0], "listen_address": agentAddress},
			Connections: map[string][]everesttest.Connection{
				"evse_manager":        to(moduleConnector, "evse"),
				"energy":              to(moduleConnector, "energy_grid"),
				"auth_token_provider": to(moduleConnector, "token_provider"),
				"uk_random_delay":     to(moduleConnector, "random_delay"),
				"dc_external_derate":  to(moduleConnector, "dc_external_derate"),
				"rfid_token_provider": to(moduleRFID, "main"),
				"system":              to(moduleSystem, "main"),
			},
		}, run: b.runAgent},
	}
}

func (b *satelliteBoard) runAgent(ctx context.Context, options everest.Options) error {
	if b.config.Apart {
		return runApart(ctx, b.config, b.config.Satellite, options)
	}
	return runAgent(ctx, b.report, b.config.Satellite, options, nil)
}

// background ends the board when its system module was asked for a reset, as a
// board that boots again would.
func (b *satelliteBoard) background(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.reset:
		// The one who asked gets its answer: a board does not go down at once.
		if err := recording.Sleep(ctx, resetDelay); err != nil {
			return nil
		}
		return errors.New("the board boots again: its system module was asked for a reset")
	}
}

func (b *satelliteBoard) obey(ctx context.Context, do Do) error {
	if do != DoPlay {
		return nil
	}
	// What is left of a session that was broken off must not authorise this one.
	select {
	case <-b.authorized:
	default:
	}
	if err := b.play.Run(ctx, b.config.Speed, b.step); err != nil {
		return err
	}
	b.report.Report(Report{Kind: KindPlayed, Satellite: b.config.Satellite})
	return nil
}

// step carries out one step. What it does is reported before it is done, so that
// nobody can have received what was not reported.
func (b *satelliteBoard) step(ctx context.Context, step Step) (waited time.Duration, err error) {
	if step.Await != "" {
		return b.awaitAuthorization(ctx)
	}
	provided, err := b.implementation(step.Module, step.Implementation)
	if err != nil {
		return 0, err
	}
	if step.Error != nil {
		return 0, b.raiseOrClear(ctx, provided, *step.Error)
	}
	b.report.Record(ledger.Variable(ledger.Published, b.config.Satellite, step.Variable, step.Value))
	return 0, provided.Publish(ctx, step.Variable, step.Value)
}

func (b *satelliteBoard) awaitAuthorization(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	limit := time.NewTimer(authorizeLimit)
	defer limit.Stop()
	select {
	case <-b.authorized:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-limit.C:
		b.report.Report(Report{
			Kind: KindProblem, Satellite: b.config.Satellite,
			Label: fmt.Sprintf("%s did not arrive within %v", commandAuthorize, authorizeLimit),
		})
	}
	return time.Since(start), nil
}

func (b *satelliteBoard) raiseOrClear(ctx context.Context, provided *everest.Provided, e everest.Error) error {
	entry := ledger.ErrorEvent(ledger.Error, b.config.Satellite, e, e.State == everest.StateActive)
	if !b.known(e.Type) {
		entry.Kind = ledger.ErrorUnknown
	}
	b.report.Record(entry)
	object, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return provided.RelayError(ctx, object, entry.Raised)
}

func (b *satelliteBoard) implementation(module, implementation string) (*everest.Provided, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	provided := b.provided[[2]string{module, implementation}]
	if provided == nil {
		return nil, fmt.Errorf("the recording has module %s with implementation %s, which this board has not", module, implementation)
	}
	return provided, nil
}

// provide makes implementations known to the play.
func (b *satelliteBoard) provide(module *everest.Module, implementations ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, implementation := range implementations {
		b.provided[[2]string{module.ID(), implementation}] = module.Provides(implementation)
	}
}
