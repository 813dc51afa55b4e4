package aggregator

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/reset"
	"github.com/remotechargeport/remotechargeport/everest"
)

// stationReset carries out the actions of the reset machine. The loop calls its methods, but for handle.
type stationReset struct {
	*station
	machine   *reset.Machine
	pause     time.Duration
	arguments everest.Args
}

func newStationReset(s *station, pause time.Duration) *stationReset {
	return &stationReset{station: s, machine: reset.NewMachine(len(s.boards)), pause: pause}
}

// handle handles reset. It returns at once; the boards are reset in the background.
func (r *stationReset) handle(_ context.Context, arguments everest.Args) (any, error) {
	r.loop.post(func(ctx context.Context) {
		r.log.Info("reset requested", zap.ByteString("type", arguments["type"]))
		if r.machine.State() == reset.Idle {
			r.arguments = arguments
		}
		r.step(ctx, reset.Requested{})
	})
	return nil, nil
}

func (r *stationReset) step(ctx context.Context, event reset.Event) {
	for _, action := range r.machine.Step(event) {
		switch action := action.(type) {
		case *reset.Call:
			r.call(ctx, r.boards[action.Board])
		case reset.Pause:
			r.after(r.pause, func(ctx context.Context) { r.step(ctx, reset.PauseEnded{}) })
		}
	}
}

func (r *stationReset) call(ctx context.Context, b *board) {
	arguments := r.arguments
	r.begin(ctx, func(ctx context.Context) {
		b.log.Info("resetting a board")
		_ = b.call(ctx, "reset", arguments, nil) // call logs the error
		r.loop.post(func(ctx context.Context) { r.step(ctx, reset.BoardDone{Board: b.index}) })
	})
}
