package aggregator

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Config configures an [Aggregator]. Only Everest is required. EVerest's manager gives the module its configuration
// keys at the start.
type Config struct {
	// Everest identifies the module and its broker. Manifest and Definitions are filled in where they are nil.
	Everest everest.Options
	// Logger logs what the module does, but no credentials. The default is Everest.Logger. If both are nil, nothing is
	// logged.
	Logger *zap.Logger
	// Progress, when set, is called during log uploads, from several goroutines and often. It must not block.
	Progress func(Progress)
	// Installation is what the module installs, where a fork has extended it with install.Installation.Extended or has
	// given it another name. The default is that of the function Installation.
	Installation install.Installation
	// Hooks are the functions of a fork: see package hook, which has their rules.
	Hooks hook.Hooks

	// resetPause is how long the satellites have before the main board is reset. Default 3 s.
	resetPause time.Duration
	// staggering is how long a board that does not respond delays asking the next one for its logs. Default 100 ms.
	staggering time.Duration
	// unit is the unit of the module's configuration. Default a second; tests use a shorter one.
	unit time.Duration
}

// Progress is the state of one part of a log upload.
type Progress struct {
	// Board is a board's number, or -1 for the upload of the archive to the backend.
	Board int
	// Name is the name of the board's file, or of the archive if Board is -1.
	Name string
	// Done is how many bytes were transferred so far. Total is the size of the file in bytes. Total is 0 for a board,
	// because the size of its file is not known in advance.
	Done, Total int64
}

// Aggregator is the module SystemAggregator. Run is called once.
type Aggregator struct {
	config  Config
	station *station

	firmware *firmwareUpdate
	logs     *logUploads
	reset    *stationReset
	status   *statusSocket
}

// New returns an aggregator. It does nothing until Run is called.
func New(config Config) *Aggregator {
	config.Logger = cmp.Or(config.Logger, config.Everest.Logger, zap.NewNop())
	config.Logger = everest.LimitRepeats(config.Logger)
	config.resetPause = cmp.Or(config.resetPause, 3*time.Second)
	config.staggering = cmp.Or(config.staggering, 100*time.Millisecond)
	config.unit = cmp.Or(config.unit, time.Second)
	if config.Installation.Module == "" {
		config.Installation = Installation()
	}
	return &Aggregator{
		config: config,
		station: &station{
			hooks: hook.NewRunner(config.Hooks, config.Logger),
			log:   config.Logger.Named("aggregator").With(zap.String("module_id", config.Everest.ModuleID)),
			unit:  config.unit, started: time.Now(), loop: newQueue(), outbox: newQueue(), ready: make(chan struct{}),
		},
	}
}

// Run connects the module, continues an update that a reboot interrupted, and serves until ctx ends. It returns nil
// when ctx ended, and otherwise the first error.
func (a *Aggregator) Run(ctx context.Context) error {
	options := a.config.Everest
	options.Logger = cmp.Or(options.Logger, a.config.Logger)
	installation, hooks := a.config.Installation, a.station.hooks
	defer hooks.Close()
	if err := installation.Err(); err != nil {
		return err
	}
	options, installed, err := options.Installed(installation.Module, installation.Manifest, func() (*schema.Definitions, error) {
		known, err := Definitions()
		if err != nil {
			return nil, err
		}
		return installation.Definitions(known)
	})
	if err != nil {
		return err
	}
	hooks.Watch(&options)
	a.station.definitions = options.Definitions
	_, a.station.answersBackend = installed.Provides[dataTransfer]
	_, a.station.knowsOCPP = installed.Requires[ocpp]
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	if err := a.station.prepare(module); err != nil {
		return err
	}
	if err := registerOwn(ctx, hooks, hook.Place{Module: module, Manifest: installed, Definitions: options.Definitions}); err != nil {
		return err
	}
	return a.serve(ctx)
}

var errEnding = errors.New("aggregator: the module ends")

// serve runs the module and everything beside it, and waits for all of it.
func (a *Aggregator) serve(ctx context.Context) error {
	s := a.station
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.logs = newLogUploads(running, s, a.config.staggering, a.config.Progress)
	a.firmware = newFirmwareUpdate(running, s)
	a.reset = newStationReset(s, a.firmware, a.config.resetPause)
	a.status = newStatusSocket(s, a.firmware, a.logs, a.reset)

	a.handleCommands()
	a.handleDataTransfer()
	a.status.serve(running)
	a.subscribe()
	s.module.OnReady(func(context.Context) error {
		s.events.SetState(stateReady, control.Healthy)
		s.readyOnce.Do(func() { close(s.ready) })
		return nil
	})
	s.begin(running, s.loop.run)
	s.module.OnWatchdog("aggregator", func(fn func()) { s.loop.post(func(context.Context) { fn() }) })
	s.begin(running, func(ctx context.Context) {
		// Before the boards are ready no module receives what is sent.
		select {
		case <-s.ready:
			s.outbox.run(ctx)
		case <-ctx.Done():
		}
	})
	s.begin(running, a.watchBoards)
	err := s.module.Run(ctx)
	stop(errEnding)
	s.background.Wait()
	// What was to be saved is, and a status that cannot be published any more waits for the next process.
	s.outbox.drain(running)
	s.background.Wait()
	a.logs.close()
	if ctx.Err() != nil {
		a.firmware.endInOrder()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
