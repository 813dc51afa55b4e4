package everest

import "time"

// reminder is the timer for saying ready again. A manager listens for the ready of its modules only after it has published all of
// its start-up topics, but serves their configuration before: a module that it has not started itself can be too early, and
// its ready is lost. Saying it once more harms nothing as long as no global ready has come.
type reminder struct {
	first time.Duration
	pause time.Duration
	timer *time.Timer
}

// maxReminder is the longest pause.
const maxReminder = 30 * time.Second

// start begins anew, with the first pause.
func (r *reminder) start() {
	r.pause = r.first
	r.arm()
}

// again doubles the pause.
func (r *reminder) again() {
	r.pause = min(2*r.pause, max(maxReminder, r.first))
	r.arm()
}

func (r *reminder) arm() {
	if r.timer == nil {
		r.timer = time.NewTimer(r.pause)
		return
	}
	r.timer.Reset(r.pause)
}

// stop is final until the next start.
func (r *reminder) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// due fires after each pause; nil before the first start.
func (r *reminder) due() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}
