package aggregator

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// firmwareUpdate carries out the actions of the firmware machine. The loop calls its methods, but for handle.
type firmwareUpdate struct {
	*station
	machine *firmware.Machine
	state   *stateFile // nil without state_dir
	limit   *time.Timer

	request firmwareRequest // the one that the boards are being asked for, or were last
	current firmwareTimes   // of the update in progress
	caller  caller[firmware.Response]
}

// firmwareRequest is the part of a FirmwareUpdateRequest that the aggregator reads. The boards get raw, unchanged.
type firmwareRequest struct {
	raw       json.RawMessage
	RequestID int64         `json:"request_id"`
	Signature string        `json:"signature"`
	Signing   string        `json:"signing_certificate"`
	Times     firmwareTimes `json:"-"`
}

// firmwareTimes are when boards may begin: before that they wait, and are not silent.
type firmwareTimes struct {
	Retrieve time.Time `json:"retrieve_timestamp,omitzero"`
	Install  time.Time `json:"install_timestamp,omitzero"`
}

// savedFirmware is the content of the state file.
type savedFirmware struct {
	firmware.Saved
	firmwareTimes
}

// newFirmwareUpdate continues an update that a reboot interrupted.
func newFirmwareUpdate(ctx context.Context, s *station) *firmwareUpdate {
	f := &firmwareUpdate{station: s, machine: firmware.NewMachine(len(s.boards))}
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
	actions, err := f.machine.Restore(saved.Saved)
	if err != nil {
		s.log.Error("an update that a reboot interrupted is lost", zap.Error(err))
		return f
	}
	f.current = saved.firmwareTimes
	s.log.Info("taking up the firmware update that a reboot interrupted", zap.Int64("request_id", saved.RequestID))
	f.perform(ctx, actions, f.caller)
	return f
}

// handle handles update_firmware.
func (f *firmwareUpdate) handle(ctx context.Context, arguments everest.Args) (any, error) {
	var request firmwareRequest
	if err := arguments.Decode("firmware_update_request", &request); err != nil {
		return nil, err
	}
	var times struct {
		Retrieve string `json:"retrieve_timestamp"`
		Install  string `json:"install_timestamp"`
	}
	request.raw = arguments["firmware_update_request"]
	if err := json.Unmarshal(request.raw, &times); err == nil {
		// The boards reject a time that cannot be parsed.
		request.Times.Retrieve, _ = time.Parse(time.RFC3339, times.Retrieve)
		request.Times.Install, _ = time.Parse(time.RFC3339, times.Install)
	}
	caller := newCaller[firmware.Response](ctx)
	f.loop.post(func(ctx context.Context) { f.requested(ctx, request, caller) })
	response, err := caller.wait(ctx)
	if err != nil {
		return nil, err
	}
	return response.Name(), nil
}

func (f *firmwareUpdate) requested(ctx context.Context, request firmwareRequest, caller caller[firmware.Response]) {
	actions := f.machine.Step(firmware.Requested{
		RequestID: request.RequestID, Signed: request.Signature != "" || request.Signing != "",
	})
	f.log.Info("firmware update requested", zap.Int64("request_id", request.RequestID))
	if slices.Contains(actions, firmware.Action(firmware.Ask{})) {
		f.request, f.caller = request, caller
	}
	f.perform(ctx, actions, caller)
}

func (f *firmwareUpdate) step(ctx context.Context, event firmware.Event) {
	f.perform(ctx, f.machine.Step(event), f.caller)
}

// perform carries out actions. A reply goes to the caller.
func (f *firmwareUpdate) perform(ctx context.Context, actions []firmware.Action, caller caller[firmware.Response]) {
	for _, action := range actions {
		switch action := action.(type) {
		case firmware.Ask:
			f.ask(ctx)
		case *firmware.Reply:
			f.log.Info("firmware update answered", zap.Stringer("answer", action.Response))
			if action.Response.Accepts() {
				f.current = f.request.Times
			}
			caller.give(action.Response)
			f.afterReply(caller.returned)
		case *firmware.Publish:
			f.log.Info("firmware status of the station", zap.Int64("request_id", action.RequestID), zap.Stringer("status", action.Status))
			f.publish("firmware_update_status", report{RequestID: action.RequestID, Firmware: action.Status.Name()})
		case *firmware.Permit:
			f.permit(f.boards[action.Board])
		case *firmware.StartLimit:
			f.startLimit(action.Phase)
		case firmware.StopLimit:
			f.stopLimit()
		case *firmware.Blame:
			log := f.boards[action.Board].log.With(zap.Stringer("phase", action.Phase))
			if action.Status != 0 {
				log.Error("the firmware update fails because of this board", zap.Stringer("status", action.Status))
			} else {
				log.Error("the firmware update fails because this board was silent for too long")
			}
		case *firmware.LeftOver:
			f.boards[action.Board].log.Warn("this board works on a firmware update that the station has refused; it is not going to be permitted to install")
		case firmware.Save:
			f.save()
		case firmware.Forget:
			f.forget()
		}
	}
}

// ask forwards the request to every board, unchanged.
func (f *firmwareUpdate) ask(ctx context.Context) {
	arguments := map[string]json.RawMessage{"firmware_update_request": f.request.raw}
	for _, b := range slices.Backward(f.boards) {
		f.begin(ctx, func(ctx context.Context) {
			var name string
			response := firmware.ResponseRejected
			if err := b.call(ctx, "update_firmware", arguments, &name); err == nil {
				if parsed, ok := firmware.ParseResponse(name); ok {
					response = parsed
				}
				b.log.Info("firmware update answered by a board", zap.String("answer", name))
			}
			f.loop.post(func(ctx context.Context) { f.step(ctx, firmware.Responded{Board: b.index, Response: response}) })
		})
	}
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

func (f *firmwareUpdate) save() {
	state, active := f.machine.Saved()
	if f.state == nil || !active {
		return
	}
	saved := savedFirmware{Saved: state, firmwareTimes: f.current}
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
	saved, active := f.machine.Saved()
	if !active {
		return nil
	}
	job := &control.FirmwareJob{RequestID: saved.RequestID}
	if len(saved.Published) > 0 {
		job.Status = slices.Max(saved.Published).Name()
	}
	return job
}
