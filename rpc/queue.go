package rpc

import (
	"context"
	"sync"
	"time"
)

// slowCall is how long a function takes at least that is expected to be slow the next time too.
const slowCall = 100 * time.Microsecond

// queues hold the received calls of a session until goroutines run them, in the order that the server was configured
// with:
//
//	OrderPerConnection  one queue
//	OrderPerMethod      a queue for each function
//	OrderNone           no queue: a goroutine for each call
type queues struct {
	session *Session
	// batch collects calls until dispatch. Only the session's reader uses it.
	batch []*request
	// all are the queues by function; that of nil is the queue of the connection. Only the session's reader uses it.
	all     map[*function]*queue
	running sync.WaitGroup
}

// mayRunNow reports whether a call overtakes no other by running at once on the reader's goroutine.
func (q *queues) mayRunNow() bool {
	return q.session.server.config.Order != OrderPerConnection || q.session.inFlight.Load() == 1
}

// add takes a call until the next dispatch.
func (q *queues) add(r *request) { q.batch = append(q.batch, r) }

// dispatch queues the calls that add has taken.
func (q *queues) dispatch(ctx context.Context) {
	if len(q.batch) == 0 {
		return
	}
	switch q.session.server.config.Order {
	case OrderNone:
		for _, r := range q.batch {
			q.running.Go(func() { q.session.runAlone(ctx, r) })
		}
	case OrderPerMethod:
		for _, r := range q.batch {
			q.queue(ctx, r.function).push(r)
		}
	default:
		q.queue(ctx, nil).push(q.batch...)
	}
	clear(q.batch)
	q.batch = q.batch[:0]
}

// queue returns the queue of a function and starts its goroutine at the first call.
func (q *queues) queue(ctx context.Context, fn *function) *queue {
	if found := q.all[fn]; found != nil {
		return found
	}
	if q.all == nil {
		q.all = make(map[*function]*queue)
	}
	made := &queue{session: q.session}
	made.wake.L = &made.mu
	q.all[fn] = made
	q.running.Go(func() { made.run(ctx) })
	return made
}

// close waits until every call that was dispatched has ended.
func (q *queues) close() {
	for _, queue := range q.all {
		queue.close()
	}
	q.running.Wait()
}

// queue is a queue of calls. The goroutine of run runs them one after the other.
type queue struct {
	session *Session

	mu     sync.Mutex
	wake   sync.Cond
	calls  []*request
	closed bool
}

func (q *queue) push(requests ...*request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, requests...)
	q.wake.Signal()
}

// close ends run when the queue is empty.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Signal()
}

// run runs calls until the queue is closed and empty.
func (q *queue) run(ctx context.Context) {
	s := q.session
	var batch []*request
	write := false
	for {
		if batch = q.take(batch); len(batch) == 0 {
			return
		}
		s.overdue.begin()
		write = q.runBatch(ctx, batch, write)
		s.overdue.done()
		if q.empty() {
			s.out.flush(s.inFlight.Load() > 0)
			write = false
		}
	}
}

// runBatch runs calls. write means that the replies queued so far must be written before another call runs, which is
// also what runBatch returns.
func (q *queue) runBatch(ctx context.Context, batch []*request, write bool) bool {
	s := q.session
	start := time.Now()
	for i, r := range batch {
		batch[i] = nil
		fn := r.function
		if write || fn.slow.Load() || s.overdue.is.Load() {
			s.out.flush(false)
		}
		write = s.run(ctx, r)
		end := time.Now()
		slow := end.Sub(start) > slowCall
		if slow != fn.slow.Load() {
			fn.slow.Store(slow)
		}
		write = write || slow
		start = end
	}
	return write
}

// take waits for calls and returns them all, none when the queue is closed and empty. The queue gets the memory of
// spare.
func (q *queue) take(spare []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.calls) == 0 && !q.closed {
		q.wake.Wait()
	}
	taken := q.calls
	q.calls = spare[:0]
	return taken
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls) == 0
}
