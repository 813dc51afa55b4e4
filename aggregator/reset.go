package aggregator

import (
	"context"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/reset"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// stationReset resets the station, and carries out the actions of the reset machine. The loop calls its methods, but for
// handle, allowed and alone.
type stationReset struct {
	*station
	update    *firmwareUpdate
	machine   *reset.Machine
	pause     time.Duration
	arguments everest.Args
}

func newStationReset(s *station, update *firmwareUpdate, pause time.Duration) *stationReset {
	r := &stationReset{station: s, update: update, machine: reset.NewMachine(len(s.boards)), pause: pause}
	update.changed = r.noteFlashing
	return r
}

// presence is what a board says to the question whether it may be reset.
type presence struct {
	why     string // why the board is not there, empty for one that is
	refuses bool
}

// look asks a board whether it may be reset, for maxQuestionTime at most.
func (b *board) look(ctx context.Context, kind any) presence {
	ctx, cancel := context.WithTimeout(ctx, maxQuestionTime)
	defer cancel()
	if !b.connected(ctx) {
		return presence{why: "it is away"}
	}
	allowed, err := ask[bool](ctx, b, "is_reset_allowed", map[string]any{"type": kind})
	switch {
	case err != nil:
		return presence{why: "it does not answer"}
	case !allowed && !b.connected(ctx):
		// Its controller has said no, because the board has gone meanwhile.
		return presence{why: "it is away"}
	}
	return presence{refuses: !allowed}
}

// lookFor asks boards at once.
func (s *station) lookFor(ctx context.Context, boards []*board, kind any) []presence {
	found := make([]presence, len(boards))
	var questions sync.WaitGroup
	for i, b := range boards {
		questions.Go(func() { found[i] = b.look(ctx, kind) })
	}
	questions.Wait()
	return found
}

// allowed handles is_reset_allowed: a board that is being flashed, or that says no, forbids the reset. One that is away or
// silent does not: a reset is the operator's first remedy for it.
func (r *stationReset) allowed(ctx context.Context, arguments everest.Args) (any, error) {
	flashed, err := inLoop(ctx, r.station, r.flashed)
	if err != nil {
		return nil, err
	}
	for _, b := range flashed {
		b.log.Warn("no reset is allowed because this board installs firmware")
	}
	if len(flashed) > 0 {
		return false, nil
	}
	if !r.mayReset(ctx, arguments) {
		return false, nil
	}
	all := true
	for i, found := range r.lookFor(ctx, r.boards, arguments["type"]) {
		switch log := r.boards[i].log; {
		case found.why != "":
			log.Warn("a reset of the station would leave this board out", zap.String("reason", found.why))
		case found.refuses:
			log.Info("a board refused a command of the station", zap.String("command", "is_reset_allowed"))
			all = false
		}
	}
	return all, nil
}

// flashed returns the boards that are being flashed.
func (r *stationReset) flashed() (boards []*board) {
	for i, b := range r.boards {
		if r.update.machine.IsFlashing(i) {
			boards = append(boards, b)
		}
	}
	return boards
}

// handle handles reset. It returns at once; the boards are reset in the background.
func (r *stationReset) handle(_ context.Context, arguments everest.Args) (any, error) {
	r.loop.post(func(ctx context.Context) {
		r.log.Info("reset requested", zap.ByteString("type", arguments["type"]))
		r.decide(ctx, arguments)
	})
	return nil, nil
}

// requested begins a reset of the station.
func (r *stationReset) requested(ctx context.Context, arguments everest.Args) {
	if r.machine.State() == reset.Idle {
		r.arguments = arguments
	}
	r.step(ctx, reset.Requested{})
}

// noteFlashing lets a reset that waits go on when no board is being flashed any more.
func (r *stationReset) noteFlashing(ctx context.Context) {
	r.step(ctx, reset.Flashing{Any: len(r.flashed()) > 0})
}

func (r *stationReset) step(ctx context.Context, event reset.Event) {
	for _, action := range r.machine.Step(event) {
		switch action := action.(type) {
		case reset.Hold:
			for _, b := range r.flashed() {
				b.log.Warn("the reset waits for the end of this board's firmware installation")
			}
		case reset.Look:
			r.look(ctx)
		case *reset.Call:
			r.call(ctx, r.boards[action.Board])
		case reset.Pause:
			r.after(r.pause, func(ctx context.Context) { r.step(ctx, reset.PauseEnded{}) })
		}
	}
}

// look finds the satellites that are there. A command to one that is not might reach the board later, when it has just
// come back.
func (r *stationReset) look(ctx context.Context) {
	satellites, kind := r.boards[1:], r.arguments["type"]
	r.begin(ctx, func(ctx context.Context) {
		var there []int
		for i, found := range r.lookFor(ctx, satellites, kind) {
			if found.why == "" {
				there = append(there, satellites[i].index)
				continue
			}
			satellites[i].log.Warn("a board is not reset", zap.String("reason", found.why))
		}
		r.loop.post(func(ctx context.Context) { r.step(ctx, reset.Found{Boards: there}) })
	})
}

func (r *stationReset) call(ctx context.Context, b *board) {
	arguments := r.arguments
	r.update.resetAsked = r.update.resetAsked || b.index == 0
	r.begin(ctx, func(ctx context.Context) {
		b.log.Info("resetting a board")
		_ = b.call(ctx, "reset", arguments, nil) // call logs the error
		r.loop.post(func(ctx context.Context) { r.step(ctx, reset.BoardDone{Board: b.index}) })
	})
}

// alone handles the status socket's request to reset one satellite.
func (r *stationReset) alone(ctx context.Context, name string, hard bool) (string, error) {
	b := r.named(name)
	switch {
	case b == nil:
		return "", &control.Reason{Never: true, Text: "there is no board " + strconv.Quote(name) + ": see the status"}
	case b.index == 0:
		return "", &control.Reason{Never: true, Text: b.name + " is the main board, whose reset is one of the whole station"}
	}
	// Looked at twice: the question to the board takes time.
	if busy, err := inLoop(ctx, r.station, func() string { return r.busyWith(b) }); err != nil || busy != "" {
		return "", notReset(b, busy, err)
	}
	kind := "Soft"
	if hard {
		kind = "Hard"
	}
	found := b.look(ctx, kind)
	switch {
	case found.why != "":
		return "", notReset(b, found.why, nil)
	case found.refuses:
		return "", notReset(b, "it does not allow a reset now", nil)
	}
	if taken, err := r.decideAlone(ctx, b, kind); err != nil || taken != "" {
		return taken, err
	}
	called := make(chan error, 1)
	busy, err := inLoop(ctx, r.station, func() string {
		if busy := r.busyWith(b); busy != "" {
			return busy
		}
		b.log.Info("resetting a board alone", zap.String("type", kind))
		r.begin(ctx, func(ctx context.Context) {
			called <- b.call(ctx, "reset", map[string]any{"type": kind, "scheduled": false}, nil)
		})
		return ""
	})
	if err != nil || busy != "" {
		return "", notReset(b, busy, err)
	}
	select {
	case err := <-called:
		return b.name, err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// busyWith returns why a board cannot be reset alone now.
func (r *stationReset) busyWith(b *board) string {
	switch {
	case r.update.machine.IsFlashing(b.index):
		return "it installs firmware"
	case r.machine.State() != reset.Idle:
		return "the station is being reset"
	}
	return ""
}

func notReset(b *board, why string, err error) error {
	if err != nil {
		return err
	}
	return &control.Reason{Text: b.name + " is not reset because " + why}
}

// named returns the board with an index, a name or a module's id, nil where there is none.
func (s *station) named(name string) *board {
	for i, b := range s.boards {
		if name == strconv.Itoa(i) || name == b.name || name == b.system.ModuleID() || b.satellite != nil && name == b.satellite.ModuleID() {
			return b
		}
	}
	return nil
}
