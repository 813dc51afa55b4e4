package aggregator

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// firmwareUpdate carries out the actions of the firmware machine. The loop calls its methods, but for handle.
type firmwareUpdate struct {
	*station
	machine *firmware.Machine
	state   *stateFile // nil without state_dir
	limit   *time.Timer
	waits   []*time.Timer // one for each board
	flashes []*time.Timer // limits of the boards that are being flashed
	// lastSign is when a board last reported something, or was permitted to install.
	lastSign time.Time

	request firmwareRequest // the one that the boards are being asked for, or were last
	current firmwareTimes   // of the accepted update
	caller  caller[firmware.Response]
	// resetAsked: the station has had the main board reset, which then is no end of an update.
	resetAsked bool
	// changed is called after every step, unless it is nil.
	changed func(context.Context)
}

// savedFirmware is the content of the state file.
type savedFirmware struct {
	firmware.Saved
	firmwareTimes
	// Manager identifies the run of the main board's manager, and is empty for a standalone module.
	Manager string `json:"manager,omitempty"`
	// Ended: the module has ended in order while the main board was being flashed. A power cut does not do that. EVerest's
	// System does, which resets its board at the end of a signed update.
	Ended bool `json:"ended,omitempty"`
}

// endInOrder keeps that the module ends in order.
func (f *firmwareUpdate) endInOrder() {
	var saved savedFirmware
	if f.state == nil || f.resetAsked {
		return
	}
	found, err := f.state.load(&saved)
	if saved.Ended = true; err == nil && found && saved.writesMain() {
		err = f.state.save(saved)
	}
	if err != nil {
		f.log.Error("it is not kept how the main board goes down", zap.Error(err))
	}
}

// writesMain reports whether the main board is being flashed for the signed update in progress, and does not restart for
// that before its end: such a board reports its end after the restart.
func (s *savedFirmware) writesMain() bool {
	if len(s.Boards) == 0 {
		return false
	}
	main := s.Boards[0]
	return !s.Over && s.Signed && s.Failure == 0 && main.Flashing && main.FlashID == s.RequestID && !main.Rebooted
}

// newFirmwareUpdate continues an update that a reboot interrupted.
func newFirmwareUpdate(ctx context.Context, s *station) *firmwareUpdate {
	f := &firmwareUpdate{
		station: s, machine: firmware.NewMachine(len(s.boards)), lastSign: time.Now(),
		waits: make([]*time.Timer, len(s.boards)), flashes: make([]*time.Timer, len(s.boards)),
	}
	if s.parameters.StateDir == "" {
		return f
	}
	f.state = &stateFile{filepath.Join(s.parameters.StateDir, s.module.ID()+".firmware.json")}
	var saved savedFirmware
	found, err := f.state.load(&saved)
	if err != nil {
		s.log.Error("an update that a reboot may have interrupted is lost", zap.Error(err))
	}
	if !found {
		return f
	}
	alone := saved.Manager != "" && saved.Manager == s.manager
	actions, err := f.machine.Restore(saved.Saved, alone)
	if err != nil {
		s.log.Error("an update that a reboot interrupted is lost", zap.Error(err))
		return f
	}
	f.current = saved.firmwareTimes
	if !saved.Over {
		s.log.Info("taking up the firmware update that a reboot interrupted", zap.Int64("request_id", saved.RequestID))
	}
	f.perform(ctx, actions, f.caller)
	if f.machine.Unfinished(0) {
		f.begin(ctx, func(ctx context.Context) { f.readMainBootReason(ctx, saved.Ended && !alone) })
	}
	return f
}

func (f *firmwareUpdate) step(ctx context.Context, event firmware.Event) {
	if _, ok := event.(firmware.Reported); ok {
		f.lastSign = time.Now()
	}
	f.perform(ctx, f.machine.Step(event), f.caller)
}

// perform carries out actions. A reply goes to the caller.
func (f *firmwareUpdate) perform(ctx context.Context, actions []firmware.Action, caller caller[firmware.Response]) {
	if slices.ContainsFunc(actions, accepts) {
		f.current = f.request.Times
		for _, b := range f.boards {
			b.aliveAt = time.Now() // it has just answered
		}
	}
	for i, action := range actions {
		switch action := action.(type) {
		case firmware.Ask:
			f.ask(ctx)
		case *firmware.Reply:
			f.log.Info("firmware update answered", zap.Stringer("answer", action.Response))
			// After what was saved before.
			f.outbox.post(func(context.Context) { caller.give(action.Response) })
			f.afterReply(caller.returned)
		case *firmware.Publish:
			f.log.Info("firmware status of the station", zap.Int64("request_id", action.RequestID), zap.Stringer("status", action.Status))
			f.publish("firmware_update_status", report{RequestID: action.RequestID, Firmware: action.Status.Name()})
		case *firmware.Permit:
			f.lastSign = time.Now()
			f.permit(f.boards[action.Board])
		case *firmware.StartLimit:
			f.startLimit(action.Phase)
		case firmware.StopLimit:
			f.stopLimit()
		case *firmware.Wait:
			f.wait(f.boards[action.Board], action.For)
		case *firmware.StopWait:
			f.stopWait(action.Board)
		case firmware.StopWaits:
			for board := range f.waits {
				f.stopWait(board)
			}
		case *firmware.Blame:
			log := f.boards[action.Board].log.With(zap.Stringer("phase", action.Phase))
			if action.Status != 0 {
				log.Error("the firmware update fails because of this board", zap.Stringer("status", action.Status))
			} else {
				log.Error("the firmware update fails because this board was silent for too long")
			}
		case *firmware.Apart:
			log := f.boards[action.Board].log.With(zap.Int64("request_id", action.RequestID))
			if action.Installed {
				log.Error("this board has installed firmware that the station does not have: update the station again")
			} else {
				log.Warn("this board works on a firmware update that the station does not have; it is not permitted to install, but EVerest's System does not wait for that")
			}
		case *firmware.Flashing:
			f.limitFlashing(action.Board, action.On)
		case firmware.Save:
			f.save(actions[i:])
		case firmware.Forget:
			f.forget()
		}
	}
	if slices.ContainsFunc(actions, publishes) {
		f.save(nil) // they are told
	}
	if f.changed != nil {
		f.changed(ctx)
	}
}

func accepts(action firmware.Action) bool {
	reply, ok := action.(*firmware.Reply)
	return ok && reply.Response.Accepts()
}

func publishes(action firmware.Action) bool {
	_, ok := action.(*firmware.Publish)
	return ok
}

// permit permits a board to install after everything that was saved and sent before.
func (f *firmwareUpdate) permit(b *board) {
	f.outbox.post(func(ctx context.Context) {
		f.begin(ctx, func(ctx context.Context) {
			b.log.Info("a board may install its firmware now")
			_ = b.call(ctx, "allow_firmware_installation", nil, nil) // call logs the error
		})
	})
}

// startLimit starts the limit of a phase. Time that the request lets boards wait does not count. The limit runs by the
// monotonic clock. At its end the remaining wait is looked at again, because set_system_time may have moved the wall
// clock.
func (f *firmwareUpdate) startLimit(phase firmware.Phase) {
	f.stopLimit()
	begins := f.current.Install
	switch phase {
	case firmware.PhaseDownload:
		begins = f.current.Retrieve
	case firmware.PhaseVerify:
		begins = time.Time{}
	}
	limit := f.duration(f.parameters.phaseTimeout(phase))
	var timer *time.Timer
	timer = f.after(limit+max(0, time.Until(begins)), func(ctx context.Context) {
		switch {
		case f.limit != timer:
		case time.Until(begins) > 0:
			f.startLimit(phase)
		case phase == firmware.PhaseNoPermission:
			id, _ := f.machine.Active()
			f.log.Error("the firmware update fails because OCPP has not permitted the installation since the restart: request it again",
				zap.Int64("request_id", id))
			f.step(ctx, firmware.LimitExpired{Phase: phase})
		default:
			f.step(ctx, firmware.LimitExpired{Phase: phase})
		}
	})
	f.limit = timer
}

func (f *firmwareUpdate) stopLimit() {
	if f.limit != nil {
		f.limit.Stop()
		f.limit = nil
	}
}

// How long a board may take to report, in seconds.
const (
	// stuckAfter is how long an installation may go on without any report before a new request replaces it.
	stuckAfter = 600
	// attemptGrace begins after the pause between two attempts. EVerest's scripts take 2 s.
	attemptGrace = 30
	// awayInterval is how often a board that is away is looked for, when the time for its report has passed.
	awayInterval = 5
	// endGrace begins when the boot reason of a board tells of an update: a vendor's System may report a fall-back.
	endGrace = 60
	// signGrace begins at the main board's restart, or when its download or installation was to begin.
	signGrace = 300
)

// wait gives a board time for another report.
func (f *firmwareUpdate) wait(b *board, awaited firmware.Awaited) {
	f.stopWait(b.index)
	limit := f.duration(endGrace)
	switch awaited {
	case firmware.AwaitedAttempt:
		limit = f.duration(f.current.RetryInterval + attemptGrace)
	case firmware.AwaitedSign:
		limit = f.duration(signGrace) + max(0, time.Until(f.current.Retrieve), time.Until(f.current.Install))
	}
	b.log.Info("waiting for another report of a board",
		zap.Stringer("awaited", awaited), zap.Duration("wait", limit))
	f.startWait(b, limit)
}

// startWait starts the time for a board's report. A satellite that is away at its end cannot report, and gets more time:
// until attemptGrace after the link is back, or the phase has passed its limit. What the board has kept comes in that time.
func (f *firmwareUpdate) startWait(b *board, limit time.Duration) {
	var timer *time.Timer
	current := func() bool { return f.waits[b.index] == timer }
	timer = f.after(limit, func(ctx context.Context) {
		if !current() {
			return
		}
		f.begin(ctx, func(ctx context.Context) {
			there := b.connected(ctx)
			f.loop.post(func(ctx context.Context) {
				switch {
				case !current():
				case !there:
					b.awayAt = time.Now()
					f.startWait(b, f.duration(awayInterval))
				case time.Since(b.awayAt) < f.duration(attemptGrace):
					f.startWait(b, f.duration(attemptGrace)-time.Since(b.awayAt))
				default:
					f.step(ctx, firmware.WaitEnded{Board: b.index})
				}
			})
		})
	})
	f.waits[b.index] = timer
}

func (f *firmwareUpdate) stopWait(board int) {
	if f.waits[board] != nil {
		f.waits[board].Stop()
		f.waits[board] = nil
	}
}

// limitFlashing starts or stops the limit after which a board that reports nothing counts as no longer being flashed.
func (f *firmwareUpdate) limitFlashing(board int, on bool) {
	if f.flashes[board] != nil {
		f.flashes[board].Stop()
		f.flashes[board] = nil
	}
	if !on {
		return
	}
	var timer *time.Timer
	timer = f.after(f.duration(f.parameters.FirmwareInstallationTimeout), func(ctx context.Context) {
		if f.flashes[board] == timer {
			f.step(ctx, firmware.FlashLimitExpired{Board: board})
		}
	})
	f.flashes[board] = timer
}

// save saves the update. What is told by actions after it is not told yet: a power cut in between repeats it, and loses
// none.
func (f *firmwareUpdate) save(later []firmware.Action) {
	state, active := f.machine.Saved()
	if f.state == nil || !active {
		return
	}
	for _, action := range later {
		if publish, ok := action.(*firmware.Publish); ok && publish.RequestID == state.RequestID {
			state.Published = slices.DeleteFunc(state.Published, func(status firmware.Status) bool { return status == publish.Status })
		}
	}
	saved := savedFirmware{Saved: state, firmwareTimes: f.current, Manager: f.manager}
	f.outbox.post(func(context.Context) {
		if err := f.state.save(saved); err != nil {
			f.log.Error("a firmware update would be lost by a reboot; set state_dir to a directory that can be written", zap.Error(err))
		}
	})
}

func (f *firmwareUpdate) forget() {
	if f.state == nil {
		return
	}
	f.outbox.post(func(context.Context) {
		if err := f.state.remove(); err != nil {
			f.log.Error("a firmware update that is over may be taken up again after a reboot", zap.Error(err))
		}
	})
}

// busy reports whether an update is in progress.
func (f *firmwareUpdate) busy() bool {
	_, active := f.machine.Active()
	return active
}

// job returns the update in progress, nil without one.
func (f *firmwareUpdate) job() *control.FirmwareJob {
	saved, _ := f.machine.Saved()
	if _, active := f.machine.Active(); !active {
		return nil
	}
	job := &control.FirmwareJob{RequestID: saved.RequestID}
	if len(saved.Published) > 0 {
		job.Status = slices.Max(saved.Published).Name()
	}
	return job
}

// ofBoards returns what the boards' firmware is beside the station's.
func (f *firmwareUpdate) ofBoards() []control.Board {
	boards := make([]control.Board, len(f.boards))
	for i := range boards {
		boards[i].Flashing = f.machine.IsFlashing(i)
		if id, installed, _ := f.machine.Apart(i); installed {
			boards[i].Mixed, boards[i].MixedRequest = true, id
		}
	}
	return boards
}
