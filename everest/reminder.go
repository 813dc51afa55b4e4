package everest

import "time"

// reminder is the timer for sending ready again. A manager serves configurations before it has published its start-up
// topics, but listens for ready only afterwards. So it can miss the ready of a module that it has not started itself. A
// repeated ready does no harm before the global ready.
type reminder struct {
	first time.Duration
	pause time.Duration
	timer *time.Timer
}

// maxReminder is the longest pause.
const maxReminder = 30 * time.Second

// start starts the timer with the first pause.
func (r *reminder) start() {
	r.pause = r.first
	r.arm()
}

// again starts the timer with twice the pause.
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

// stop stops the timer until start is called.
func (r *reminder) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// due returns the timer's channel, or nil before the first start.
func (r *reminder) due() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}
