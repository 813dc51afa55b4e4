package aggregator

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/everest"
)

// firmwareRequest is the part of a FirmwareUpdateRequest that the aggregator reads. The boards get raw, unchanged.
type firmwareRequest struct {
	raw       json.RawMessage
	RequestID int64         `json:"request_id"`
	Signature string        `json:"signature"`
	Signing   string        `json:"signing_certificate"`
	Retries   int           `json:"retries"` // the number of attempts
	Interval  *int          `json:"retry_interval_s"`
	Times     firmwareTimes `json:"-"`
}

// firmwareTimes are when boards may begin, and how long they may pause. Meanwhile they are not silent.
type firmwareTimes struct {
	// RetryInterval is the pause between two attempts in seconds.
	RetryInterval int `json:"retry_interval_s"`

	Retrieve time.Time `json:"retrieve_timestamp,omitzero"`
	Install  time.Time `json:"install_timestamp,omitzero"`
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
	request.Times.RetryInterval = f.parameters.DefaultRetryInterval
	if request.Interval != nil {
		request.Times.RetryInterval = max(*request.Interval, 0)
	}
	f.backlog.heard()
	caller := newCaller[firmware.Response](ctx)
	f.loop.post(func(ctx context.Context) { f.requested(ctx, request, caller) })
	response, err := caller.wait(ctx)
	if err != nil {
		return nil, err
	}
	return f.words.Spell(release.UpdateFirmwareResponse, response.Name()), nil
}

func (f *firmwareUpdate) requested(ctx context.Context, request firmwareRequest, caller caller[firmware.Response]) {
	actions := f.machine.Step(firmware.Requested{
		RequestID: request.RequestID, Signed: request.Signature != "" || request.Signing != "", Attempts: request.Retries,
		Silent: time.Since(f.lastSign) >= f.duration(stuckAfter),
	})
	f.log.Info("firmware update requested", zap.Int64("request_id", request.RequestID))
	if slices.Contains(actions, firmware.Action(firmware.Ask{})) {
		f.request, f.caller = request, caller
	}
	f.perform(ctx, actions, caller)
}

// ask forwards the request to every board. It refuses the request itself where a satellite is away: the boards that are
// there would install what the other one never gets, and System cannot be stopped.
func (f *firmwareUpdate) ask(ctx context.Context) {
	request := f.request.raw
	f.begin(ctx, func(ctx context.Context) {
		away := f.away(ctx)
		for _, b := range away {
			b.log.Warn("a firmware update is refused because this board is away")
		}
		for _, b := range slices.Backward(f.boards) {
			if len(away) > 0 {
				f.responded(firmware.Responded{Board: b.index, Response: firmware.ResponseRejected})
				continue
			}
			f.begin(ctx, func(ctx context.Context) { f.responded(f.askBoard(ctx, b, request)) })
		}
	})
}

func (f *firmwareUpdate) responded(event firmware.Responded) {
	f.loop.post(func(ctx context.Context) { f.step(ctx, event) })
}

// noAnswer is the refusal of a board that does not answer a firmware update.
const noAnswer = "no answer"

// askBoard forwards a request to a board, unchanged.
func (f *firmwareUpdate) askBoard(ctx context.Context, b *board, request json.RawMessage) firmware.Responded {
	event := firmware.Responded{Board: b.index, Response: firmware.ResponseRejected, OldBootReason: f.clearBootReason(ctx, b)}
	var name string
	refusal := noAnswer
	defer func() { b.refusal.Store(&refusal) }()
	if err := b.call(ctx, "update_firmware", map[string]json.RawMessage{"firmware_update_request": request}, &name); err == nil {
		if parsed, ok := firmware.ParseResponse(release.Read(name)); ok {
			event.Response = parsed
		}
		if refusal = cmp.Or(shortened(name), noAnswer); event.Response.Accepts() {
			refusal = ""
		}
		b.log.Info("firmware update answered by a board", zap.String("answer", name))
	}
	return event
}

// away returns the satellites without a link. It asks all controllers at once, for maxQuestionTime at most.
func (s *station) away(ctx context.Context) (away []*board) {
	ctx, cancel := context.WithTimeout(ctx, maxQuestionTime)
	defer cancel()
	connected := make([]bool, len(s.boards))
	var questions sync.WaitGroup
	for _, b := range s.boards {
		questions.Go(func() { connected[b.index] = b.connected(ctx) })
	}
	questions.Wait()
	for _, b := range s.boards {
		if !connected[b.index] {
			away = append(away, b)
		}
	}
	return away
}
