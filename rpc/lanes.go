package rpc

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// slowCall is how long a function takes at least that is expected to be slow the next time too.
	slowCall = 100 * time.Microsecond
	// lateAfter is after how long replies that wait for company are sent, and the peer's Nagle algorithm is released.
	lateAfter = time.Millisecond
)

// lanes run the calls of a session, in the order that the server was configured with. A lane is a goroutine that runs its
// calls one after the other and lives as long as the session.
type lanes struct {
	session *Session
	// batch collects calls until dispatch; the reader alone uses it.
	batch []*request
	// all are the lanes of the functions, that of nil is the lane of the connection.
	all     map[*function]*lane
	running sync.WaitGroup
}

type lane struct {
	session *Session
	mu      sync.Mutex
	wake    sync.Cond
	queue   []*request
	closed  bool
}

// mayRunNow says whether a call may overtake nothing by running at once on the reader's goroutine.
func (l *lanes) mayRunNow() bool {
	return l.session.server.config.Order != OrderPerConnection || l.session.inFlight.Load() == 1
}

// add takes a call in until the next dispatch.
func (l *lanes) add(r *request) { l.batch = append(l.batch, r) }

// dispatch gives the calls to their lanes.
func (l *lanes) dispatch() {
	if len(l.batch) == 0 {
		return
	}
	switch l.session.server.config.Order {
	case OrderNone:
		for _, r := range l.batch {
			l.running.Go(func() { l.runAlone(r) })
		}
	case OrderPerMethod:
		for _, r := range l.batch {
			l.lane(r.function).push(r)
		}
	default:
		l.lane(nil).push(l.batch...)
	}
	clear(l.batch)
	l.batch = l.batch[:0]
}

func (l *lanes) runAlone(r *request) {
	l.session.late.begin()
	l.session.run(r)
	l.session.late.done()
	l.session.out.flush(l.session.inFlight.Load() > 0)
}

func (l *lanes) lane(fn *function) *lane {
	if found := l.all[fn]; found != nil {
		return found
	}
	if l.all == nil {
		l.all = make(map[*function]*lane)
	}
	made := &lane{session: l.session}
	made.wake.L = &made.mu
	l.all[fn] = made
	l.running.Go(made.run)
	return made
}

// close waits until every call that was dispatched has ended.
func (l *lanes) close() {
	for _, lane := range l.all {
		lane.mu.Lock()
		lane.closed = true
		lane.wake.Signal()
		lane.mu.Unlock()
	}
	l.running.Wait()
}

func (l *lane) push(requests ...*request) {
	l.mu.Lock()
	l.queue = append(l.queue, requests...)
	l.wake.Signal()
	l.mu.Unlock()
}

// run runs calls until the lane is closed and empty.
func (l *lane) run() {
	s := l.session
	var batch []*request
	// ready says that the replies that are queued had better be sent before another call runs.
	ready := false
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.closed {
			l.wake.Wait()
		}
		if len(l.queue) == 0 {
			l.mu.Unlock()
			return
		}
		batch, l.queue = l.queue, batch[:0]
		l.mu.Unlock()
		s.late.begin()
		start := time.Now()
		for i, r := range batch {
			batch[i] = nil
			fn := r.function
			if ready || fn.slow.Load() || s.late.is.Load() {
				s.out.flush(false)
			}
			ready = s.run(r)
			end := time.Now()
			slow := end.Sub(start) > slowCall
			if slow != fn.slow.Load() {
				fn.slow.Store(slow)
			}
			ready = ready || slow
			start = end
		}
		s.late.done()
		l.mu.Lock()
		more := len(l.queue) > 0
		l.mu.Unlock()
		if !more {
			s.out.flush(s.inFlight.Load() > 0)
			ready = false
		}
	}
}

// lateness watches for handlers that take longer than lateAfter: replies that wait for company are sent then, and the
// peer, whose Nagle algorithm may be waiting for the reply, is released.
type lateness struct {
	session *Session
	// is says that handlers have been running for long.
	is atomic.Bool

	mu      sync.Mutex
	timer   *time.Timer
	armed   bool
	running int
	stopped bool
}

// begin says that a lane has begun to work.
func (l *lateness) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running++
	if l.armed || l.stopped {
		return
	}
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(lateAfter, l.expire)
	} else {
		l.timer.Reset(lateAfter)
	}
}

// done says that a lane has no more work.
func (l *lateness) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running--; l.running == 0 {
		l.is.Store(false)
		if l.armed && l.timer.Stop() {
			l.armed = false
		}
	}
}

// expire is called by the timer.
func (l *lateness) expire() {
	l.mu.Lock()
	l.armed = false
	late := l.running > 0 && !l.stopped
	l.is.Store(late)
	l.mu.Unlock()
	if late {
		l.session.out.flush(false)
		l.session.ack.now()
	}
}

// stop ends the watching.
func (l *lateness) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}
