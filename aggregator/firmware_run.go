package aggregator

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// firmwareRun does what FirmwareMerge wants done. Its methods belong to the loop, but for prepare and handle.
type firmwareRun struct {
	a     *Aggregator
	merge *FirmwareMerge
	state *stateFile
	limit *time.Timer

	request firmwareRequest // the one that the boards are being asked for, or were last
	current firmwareTimes   // of the update under way
	caller  replyTo[FirmwareAnswer]
	handler context.Context
}

// firmwareRequest is what the aggregator looks at of a FirmwareUpdateRequest; the boards get it as it came.
type firmwareRequest struct {
	raw       json.RawMessage
	RequestID int64         `json:"request_id"`
	Signature string        `json:"signature"`
	Signing   string        `json:"signing_certificate"`
	Times     firmwareTimes `json:"-"`
}

// firmwareTimes are when boards may begin: before that they are not silent, they wait.
type firmwareTimes struct {
	Retrieve time.Time `json:"retrieve_timestamp,omitzero"`
	Install  time.Time `json:"install_timestamp,omitzero"`
}

// savedFirmware is the content of the state file.
type savedFirmware struct {
	FirmwareState
	firmwareTimes
}

func (f *firmwareRun) prepare(a *Aggregator) {
	f.a, f.merge = a, NewFirmwareMerge(len(a.boards))
	if a.parameters.StateDir == "" {
		return
	}
	f.state = &stateFile{filepath.Join(a.parameters.StateDir, a.module.ID()+".firmware.json")}
	var saved savedFirmware
	found, err := f.state.load(&saved)
	if err != nil {
		a.log.Error("an update that a reboot may have interrupted is lost", zap.Error(err))
	}
	if !found {
		return
	}
	actions, err := f.merge.Restore(saved.FirmwareState)
	if err != nil {
		a.log.Error("an update that a reboot interrupted is lost", zap.Error(err))
		return
	}
	f.current = saved.firmwareTimes
	a.log.Info("taking up the firmware update that a reboot interrupted", zap.Int64("request_id", saved.RequestID))
	f.perform(actions, nil)
}

// handle answers update_firmware.
func (f *firmwareRun) handle(ctx context.Context, arguments everest.Args) (any, error) {
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
		// A time that cannot be read is the boards' to judge.
		request.Times.Retrieve, _ = time.Parse(time.RFC3339, times.Retrieve)
		request.Times.Install, _ = time.Parse(time.RFC3339, times.Install)
	}
	reply := newReply[FirmwareAnswer]()
	f.a.loop.post(func() { f.requested(request, reply, ctx) })
	answer, err := reply.wait(ctx)
	if err != nil {
		return nil, err
	}
	return answer.String(), nil
}

func (f *firmwareRun) requested(request firmwareRequest, caller replyTo[FirmwareAnswer], handler context.Context) {
	actions := f.merge.Step(FirmwareEvent{
		Kind: FirmwareRequested, RequestID: request.RequestID, Signed: request.Signature != "" || request.Signing != "",
	})
	for _, action := range actions {
		if action.Kind == FirmwareAsk {
			f.request, f.caller, f.handler = request, caller, handler
		}
	}
	f.a.log.Info("firmware update requested", zap.Int64("request_id", request.RequestID))
	f.perform(actions, caller)
}

func (f *firmwareRun) step(event FirmwareEvent) { f.perform(f.merge.Step(event), nil) }

// perform does the actions. direct is the caller of the request that they follow from, if any.
func (f *firmwareRun) perform(actions []FirmwareAction, direct replyTo[FirmwareAnswer]) {
	a := f.a
	for _, action := range actions {
		switch action.Kind {
		case FirmwareAsk:
			f.ask()
		case FirmwareReply:
			a.log.Info("firmware update answered", zap.Stringer("answer", action.Answer))
			if direct != nil {
				direct.give(action.Answer)
				continue
			}
			if action.Answer.Accepts() {
				f.current = f.request.Times
			}
			f.caller.give(action.Answer)
			a.afterReply(f.handler)
		case FirmwarePublish:
			a.log.Info("firmware status of the station", zap.Int64("request_id", action.RequestID), zap.Stringer("status", action.Status))
			a.publish("firmware_update_status", firmwareReport{RequestID: action.RequestID, Status: action.Status.String()})
		case FirmwareAllow:
			f.allow(a.boards[action.Board])
		case FirmwareLimit:
			f.start(action.Phase)
		case FirmwareUnlimited:
			f.stop()
		case FirmwareBlame:
			log := a.boards[action.Board].log.With(zap.Stringer("phase", action.Phase))
			if action.Status != 0 {
				log.Error("the firmware update fails because of this board", zap.Stringer("status", action.Status))
			} else {
				log.Error("the firmware update fails because this board was silent for too long")
			}
		case FirmwareLeftOver:
			a.boards[action.Board].log.Warn("this board works on a firmware update that the station has refused; it is not going to be permitted to install")
		case FirmwareSave:
			f.save()
		case FirmwareForget:
			f.forget()
		}
	}
}

// ask passes the request on to every board, unchanged.
func (f *firmwareRun) ask() {
	request := f.request.raw
	for i := len(f.a.boards) - 1; i >= 0; i-- {
		b := f.a.boards[i]
		f.a.begin(func(ctx context.Context) {
			var name string
			answer := UpdateRejected
			if err := b.call(ctx, "update_firmware", map[string]json.RawMessage{"firmware_update_request": request}, &name); err == nil {
				parsed, ok := ParseFirmwareAnswer(name)
				if ok {
					answer = parsed
				}
				b.log.Info("firmware update answered by a board", zap.String("answer", name))
			}
			f.a.loop.post(func() { f.step(FirmwareEvent{Kind: FirmwareAnswered, Board: b.index, Answer: answer}) })
		})
	}
}

// allow passes the permission on when what was saved and sent before is out.
func (f *firmwareRun) allow(b *board) {
	f.a.send(func(context.Context) {
		f.a.begin(func(ctx context.Context) {
			b.log.Info("a board may install its firmware now")
			_ = b.call(ctx, "allow_firmware_installation", nil, nil) // it has logged why not
		})
	})
}

// start begins the limit of a phase. Time that boards are to wait by the request does not count. The limit runs by the
// monotonic clock; what is left to wait is looked at again at its end, because set_system_time makes the wall clock jump.
func (f *firmwareRun) start(phase FirmwarePhase) {
	f.stop()
	limit := f.a.parameters.limit(phase, f.a.config.Unit)
	begins := f.current.Install
	if phase == PhaseDownload {
		begins = f.current.Retrieve
	} else if phase == PhaseVerify {
		begins = time.Time{}
	}
	var timer *time.Timer
	timer = f.a.after(limit+max(0, time.Until(begins)), func() {
		if f.limit != timer {
			return
		}
		if time.Until(begins) > 0 {
			f.start(phase)
			return
		}
		f.step(FirmwareEvent{Kind: FirmwareTimeUp, Phase: phase})
	})
	f.limit = timer
}

func (f *firmwareRun) stop() {
	if f.limit != nil {
		f.limit.Stop()
		f.limit = nil
	}
}

func (f *firmwareRun) save() {
	state, active := f.merge.State()
	if f.state == nil || !active {
		return
	}
	saved := savedFirmware{FirmwareState: state, firmwareTimes: f.current}
	f.a.send(func(context.Context) {
		if err := f.state.save(saved); err != nil {
			f.a.log.Error("a firmware update would be lost by a reboot; set state_dir to a directory that can be written", zap.Error(err))
		}
	})
}

func (f *firmwareRun) forget() {
	if f.state == nil {
		return
	}
	f.a.send(func(context.Context) {
		if err := f.state.remove(); err != nil {
			f.a.log.Error("a firmware update that is over may be taken up again after a reboot", zap.Error(err))
		}
	})
}
