package aggregator

import (
	"context"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// resetRun does what ResetPlan wants done. Its methods belong to the loop, but for prepare and handle.
type resetRun struct {
	a         *Aggregator
	plan      *ResetPlan
	arguments everest.Args
}

func (r *resetRun) prepare(a *Aggregator) { r.a, r.plan = a, NewResetPlan(len(a.boards)) }

// handle answers reset at once; the boards are told beside it.
func (r *resetRun) handle(_ context.Context, arguments everest.Args) (any, error) {
	r.a.loop.post(func() {
		if r.plan.step == resetIdle {
			r.arguments = arguments
		}
		r.step(ResetEvent{Kind: ResetRequested})
	})
	return nil, nil
}

func (r *resetRun) step(event ResetEvent) {
	for _, action := range r.plan.Step(event) {
		switch action.Kind {
		case ResetReply:
			r.a.log.Info("reset requested", zap.ByteString("type", r.arguments["type"]))
		case ResetBoard:
			r.tell(r.a.boards[action.Board])
		case ResetPause:
			r.a.after(r.a.config.ResetPause, func() { r.step(ResetEvent{Kind: ResetPauseOver}) })
		}
	}
}

func (r *resetRun) tell(b *board) {
	arguments := r.arguments
	r.a.begin(func(ctx context.Context) {
		b.log.Info("resetting a board")
		_ = b.call(ctx, "reset", arguments, nil) // it has logged why not
		r.a.loop.post(func() { r.step(ResetEvent{Kind: ResetTold, Board: b.index}) })
	})
}
