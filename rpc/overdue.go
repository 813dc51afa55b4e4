package rpc

import (
	"sync"
	"sync/atomic"
	"time"
)

// overdueAfter is how long the handlers of a session may run before queued replies no longer wait for them.
const overdueAfter = time.Millisecond

// overdue notices handlers that run longer than overdueAfter. Replies that wait to be gathered are then written.
// Received data is acknowledged, because a peer that uses Nagle's algorithm may be holding back a message until then.
type overdue struct {
	session *Session
	// is means that handlers have been running for longer than overdueAfter.
	is atomic.Bool

	mu      sync.Mutex
	timer   *time.Timer
	armed   bool
	running int
	stopped bool
}

// begin must be called when a queue has begun to run calls.
func (o *overdue) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running++
	if o.armed || o.stopped {
		return
	}
	o.armed = true
	if o.timer == nil {
		o.timer = time.AfterFunc(overdueAfter, o.expire)
	} else {
		o.timer.Reset(overdueAfter)
	}
}

// done must be called when a queue has run its calls.
func (o *overdue) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running--; o.running == 0 {
		o.is.Store(false)
		if o.armed && o.timer.Stop() {
			o.armed = false
		}
	}
}

// expire is called by the timer.
func (o *overdue) expire() {
	if o.noted() {
		o.session.out.flush(false)
		o.session.ack.now()
	}
}

// noted sets is and returns it.
func (o *overdue) noted() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.armed = false
	is := o.running > 0 && !o.stopped
	o.is.Store(is)
	return is
}

func (o *overdue) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	if o.timer != nil {
		o.timer.Stop()
	}
}
