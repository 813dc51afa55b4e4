package aggregator

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/everest"
)

// The boot reasons of the interface system that the aggregator knows.
const (
	bootedByUpdate  = "FirmwareUpdate"
	bootedUnknownly = "Unknown"
)

// maxQuestionTime bounds a question whose answer the station can do without. Tests that share a busy machine have more.
var maxQuestionTime = 2 * time.Second

// ask calls a command without arguments whose answer the station can do without. It logs no error.
func ask[R any](ctx context.Context, b *board, command string, arguments any) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, min(b.timeout, maxQuestionTime))
	defer cancel()
	return everest.Call[R](ctx, b.system, command, arguments)
}

// bootReason is the main board's boot reason. EVerest's System forgets it when it is asked, and OCPP asks the station for
// it once after the start: so it is kept. The zero value is ready.
type bootReason struct {
	mu    sync.Mutex
	known string
}

// of returns the boot reason, and bootedUnknownly while the main board does not respond.
func (r *bootReason) of(ctx context.Context, main *board) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known != "" {
		return r.known
	}
	reason := ""
	if err := main.call(ctx, "get_boot_reason", nil, &reason); err != nil || reason == "" {
		return bootedUnknownly
	}
	r.known = reason
	return reason
}

// clearBootReason has a board forget the boot reason of an earlier update, and reports whether the board keeps it. A
// board that keeps it tells nothing by it about the next update.
func (f *firmwareUpdate) clearBootReason(ctx context.Context, b *board) (kept bool) {
	if b.index == 0 {
		f.bootReason.of(ctx, b)
	}
	for range 2 {
		reason, err := ask[string](ctx, b, "get_boot_reason", nil)
		if err != nil || reason != bootedByUpdate {
			return false
		}
	}
	return true
}

// readBootReasons asks the satellites that have not come to the end of the update for their boot reasons. System writes
// the reason down before it resets its board, and its report of the end often dies with its process.
func (f *firmwareUpdate) readBootReasons(ctx context.Context) {
	boards, err := inLoop(ctx, f.station, func() (boards []*board) {
		for _, b := range f.boards[1:] {
			if f.machine.Unfinished(b.index) {
				boards = append(boards, b)
			}
		}
		return boards
	})
	if err != nil {
		return
	}
	var questions sync.WaitGroup
	for _, b := range boards {
		questions.Go(func() {
			if !b.connected(ctx) {
				return
			}
			if reason, err := ask[string](ctx, b, "get_boot_reason", nil); err == nil && reason == bootedByUpdate {
				f.hasBooted(b)
			}
			asking, cancel := context.WithTimeout(ctx, linkedTimeout)
			defer cancel()
			asked := time.Now()
			uptime := b.linkStatus(asking).Uptime
			f.loop.post(func(ctx context.Context) { f.noteUptime(ctx, b, asked, uptime) })
		})
	}
	questions.Wait()
}

// clockSlack is how inexact an uptime may be, in seconds.
const clockSlack = 0.2

// noteUptime finds out that a satellite has restarted since the update was accepted. Its System may have lost the update.
func (f *firmwareUpdate) noteUptime(ctx context.Context, b *board, asked time.Time, uptime float64) {
	if uptime <= 0 || asked.Before(b.aliveAt) {
		return
	}
	// An agent that ran at aliveAt and has not ended has run at least since then. Clocks differ by 0.05 %.
	restarted := !b.aliveAt.IsZero() && uptime < asked.Sub(b.aliveAt).Seconds()*0.998-clockSlack
	b.aliveAt = asked
	if restarted {
		b.log.Warn("a satellite has restarted in the middle of a firmware update")
		f.step(ctx, firmware.Restarted{Board: b.index})
	}
}

// readMainBootReason reads the boot reason of the main board after a restart in the middle of an update. ended: the main
// board has gone down in order while it was being flashed. EVerest's System without a store resets its board at the end of
// an update, and tells no other reason than PowerUp.
func (f *firmwareUpdate) readMainBootReason(ctx context.Context, ended bool) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return
	}
	reason := f.bootReason.of(ctx, f.boards[0])
	f.log.Info("the main board has restarted in the middle of a firmware update", zap.String("boot_reason", reason))
	if reason == bootedByUpdate || ended && (reason == bootedUnknownly || reason == "PowerUp") {
		f.hasBooted(f.boards[0])
	}
}

func (f *firmwareUpdate) hasBooted(b *board) {
	b.log.Info("a board has started after a firmware update")
	f.loop.post(func(ctx context.Context) { f.step(ctx, firmware.Booted{Board: b.index}) })
}
