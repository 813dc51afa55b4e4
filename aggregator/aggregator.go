package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Config configures an Aggregator. Only Everest must be given; the module's configuration keys come from its manager.
type Config struct {
	// Everest says who the module is and where its broker is. Manifest and Definitions are filled in where they are nil.
	Everest everest.Options
	// Logger takes the log; nil takes none. No credential is ever logged.
	Logger *zap.Logger
	// Progress, when set, is told how far log uploads are, from different goroutines, often. It must not wait.
	Progress func(Progress)
	// ResetPause is how long the satellites have before the main board is reset. Default 3 s.
	ResetPause time.Duration
	// Unit is what the module's configuration counts in. Default a second; tests have less patience.
	Unit time.Duration
}

// Progress is how far one part of a log upload is.
type Progress struct {
	// Board is a board's number, or -1 for the archive on its way to the backend.
	Board int
	// Name of the board, or of the archive.
	Name string
	// Done and Total are bytes. Nobody knows how much a board is going to send: Total is 0 then.
	Done, Total int64
}

// Aggregator is the module SystemAggregator. Run is called once.
type Aggregator struct {
	config Config
	log    *zap.Logger

	module     *everest.Module
	parameters parameters
	boards     []*board
	provided   *everest.Provided

	// loop does everything that decides, outbox everything that leaves the module in an order that counts.
	loop, outbox *mailbox
	ready        chan struct{}
	readyOnce    sync.Once
	ctx          context.Context // of everything that the module has started
	background   sync.WaitGroup

	firmware firmwareRun
	logs     logsRun
	reset    resetRun
	control  controlled
}

// New returns an aggregator that Run starts.
func New(config Config) *Aggregator {
	if config.Logger == nil {
		config.Logger = zap.NewNop()
	}
	config.Logger = everest.LimitRepeats(config.Logger)
	if config.ResetPause <= 0 {
		config.ResetPause = 3 * time.Second
	}
	if config.Unit <= 0 {
		config.Unit = time.Second
	}
	return &Aggregator{
		config: config, log: config.Logger.Named("aggregator").With(zap.String("module_id", config.Everest.ModuleID)),
		loop: newMailbox(), outbox: newMailbox(), ready: make(chan struct{}),
		control: controlled{started: time.Now()},
	}
}

// Run is the module's life: it connects, takes up an update that a reboot interrupted, and serves until the context ends,
// which is no error, or something breaks, which is.
func (a *Aggregator) Run(ctx context.Context) error {
	options := a.config.Everest
	if options.Logger == nil {
		options.Logger = a.config.Logger
	}
	options, _, err := options.Installed(moduleName, manifest, builtInDefinitions)
	if err != nil {
		return err
	}
	module, err := everest.Connect(ctx, options)
	if err != nil {
		return err
	}
	defer module.Close()
	a.module = module
	if err := module.DecodeConfig(&a.parameters); err != nil {
		return err
	}
	return a.serve(ctx)
}

// serve runs the module with everything beside it, and waits for all of it.
func (a *Aggregator) serve(ctx context.Context) error {
	systems, satellites := a.module.Requires("system"), a.module.Requires("satellite")
	if len(satellites) != len(systems)-1 {
		a.log.Warn("the requirement system needs this board's system and one more for every satellite, in the same order",
			zap.Int("systems", len(systems)), zap.Int("satellites", len(satellites)))
	}
	a.boards = newBoards(systems, satellites, seconds(a.parameters.BoardTimeout, a.config.Unit), a.log)
	a.provided = a.module.Provides("system")

	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.ctx = running
	a.control.prepare(a.module.ID(), len(a.boards))
	a.firmware.prepare(a)
	a.reset.prepare(a)
	if err := a.logs.prepare(a); err != nil {
		return err
	}
	a.handleCommands()
	a.serveControl()
	a.subscribe()
	a.module.OnReady(func(context.Context) error {
		a.control.events.Moved(stateReady, control.Healthy)
		a.readyOnce.Do(func() { close(a.ready) })
		return nil
	})
	a.background.Go(func() { a.loop.run(running) })
	a.module.OnWatchdog("aggregator", a.loop.post)
	a.background.Go(func() {
		// Before the boards are ready nobody would hear what is sent.
		select {
		case <-a.ready:
			a.outbox.run(running)
		case <-running.Done():
		}
	})
	a.background.Go(a.watchBoards)
	err := a.module.Run(ctx)
	stop(errEnding)
	a.background.Wait()
	a.logs.close()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

var errEnding = errors.New("aggregator: the module ends")

// after has fn done by the loop when the time has passed. The timer ends with the module.
func (a *Aggregator) after(wait time.Duration, fn func()) *time.Timer {
	return time.AfterFunc(wait, func() { a.loop.post(fn) })
}

// begin starts something beside the loop that the module waits for at its end.
func (a *Aggregator) begin(fn func(ctx context.Context)) {
	a.background.Go(func() { fn(a.ctx) })
}

// send puts something that leaves the module behind what was sent before.
func (a *Aggregator) send(fn func(ctx context.Context)) { a.outbox.post(func() { fn(a.ctx) }) }

func (a *Aggregator) publish(variable string, value any) {
	a.control.published(variable, value)
	a.send(func(ctx context.Context) {
		if err := a.provided.Publish(ctx, variable, value); err != nil && ctx.Err() == nil {
			a.log.Error("a status did not get out", zap.String("variable", variable), zap.Error(err))
		}
	})
}

// afterReply holds back what is sent until the answer that the handler is about to return has left: a backend gets the
// answer to its request before the first status of it.
func (a *Aggregator) afterReply(handler context.Context) {
	a.send(func(ctx context.Context) {
		limit := time.NewTimer(2 * time.Second)
		defer limit.Stop()
		select {
		case <-handler.Done():
		case <-limit.C:
		case <-ctx.Done():
		}
	})
}

func (a *Aggregator) subscribe() {
	for _, b := range a.boards {
		b.system.Subscribe("firmware_update_status", func(_ context.Context, value json.RawMessage) {
			id, status, err := decodeFirmwareReport(value)
			if err != nil {
				b.log.Warn("a board's report is not understood", zap.Error(err))
				return
			}
			a.control.reported(b, "firmware_update_status", value, status.String())
			b.log.Debug("a board's firmware status", zap.Int64("request_id", id), zap.Stringer("status", status))
			a.loop.post(func() {
				a.firmware.step(FirmwareEvent{Kind: FirmwareReported, Board: b.index, RequestID: id, Status: status})
			})
		})
		b.system.Subscribe("log_status", func(_ context.Context, value json.RawMessage) {
			id, status, err := decodeLogReport(value)
			if err != nil {
				b.log.Warn("a board's report is not understood", zap.Error(err))
				return
			}
			a.control.reported(b, "log_status", value, status.String())
			b.log.Debug("a board's log status", zap.Int64("request_id", id), zap.Stringer("status", status))
			a.loop.post(func() { a.logs.reported(b.index, id, status) })
		})
	}
}

func (a *Aggregator) handleCommands() {
	a.provided.Handle("update_firmware", a.firmware.handle)
	a.provided.Handle("allow_firmware_installation", func(context.Context, everest.Args) (any, error) {
		a.loop.post(func() { a.firmware.step(FirmwareEvent{Kind: FirmwareAllowed}) })
		return nil, nil
	})
	a.provided.Handle("upload_logs", a.logs.handle)
	a.provided.Handle("reset", a.reset.handle)
	a.provided.Handle("is_reset_allowed", func(ctx context.Context, arguments everest.Args) (any, error) {
		return a.everyBoard(ctx, "is_reset_allowed", arguments), nil
	})
	a.provided.Handle("set_system_time", func(ctx context.Context, arguments everest.Args) (any, error) {
		return a.everyBoard(ctx, "set_system_time", arguments), nil
	})
	a.provided.Handle("get_boot_reason", func(ctx context.Context, _ everest.Args) (any, error) {
		reason := "Unknown"
		if err := a.boards[0].call(ctx, "get_boot_reason", nil, &reason); err != nil {
			return "Unknown", nil
		}
		return reason, nil
	})
}

// everyBoard asks all boards at a time whether something is so; a board that does not answer says no.
func (a *Aggregator) everyBoard(ctx context.Context, command string, arguments everest.Args) bool {
	answers := make([]bool, len(a.boards))
	var asking sync.WaitGroup
	for _, b := range a.boards {
		asking.Go(func() {
			if b.call(ctx, command, arguments, &answers[b.index]) != nil {
				answers[b.index] = false
			}
		})
	}
	asking.Wait()
	all := true
	for _, b := range a.boards {
		if !answers[b.index] {
			b.log.Info("a board says no", zap.String("command", command))
			all = false
		}
	}
	return all
}

// watchBoards names a satellite that is lost while it has something to do.
func (a *Aggregator) watchBoards() {
	ticker := time.NewTicker(5 * a.config.Unit)
	defer ticker.Stop()
	lost := make([]bool, len(a.boards))
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
		}
		busy := make(chan bool, 1)
		a.loop.post(func() {
			_, updating := a.firmware.merge.Active()
			busy <- updating || a.logs.busy()
		})
		select {
		case <-a.ctx.Done():
			return
		case working := <-busy:
			if !working {
				continue
			}
		}
		for _, b := range a.boards {
			gone := !b.connected(a.ctx)
			if gone != lost[b.index] && a.ctx.Err() == nil {
				lost[b.index] = gone
				if gone {
					b.log.Warn("the link to a board is lost while it has work to do")
				} else {
					b.log.Info("the link to a board is back")
				}
			}
		}
	}
}

// replyTo hands an answer from the loop to a handler that waits for it.
type replyTo[T any] chan T

func newReply[T any]() replyTo[T] { return make(replyTo[T], 1) }

func (r replyTo[T]) give(answer T) {
	select {
	case r <- answer:
	default:
	}
}

// wait is the answer, or why there is none.
func (r replyTo[T]) wait(ctx context.Context) (answer T, err error) {
	select {
	case answer = <-r:
		return answer, nil
	case <-ctx.Done():
		return answer, fmt.Errorf("aggregator: %w", context.Cause(ctx))
	}
}
