package everest

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Queue holds the messages that wait for handlers. It runs the handlers one after the other, in the order in which the
// broker delivered the messages. A subscription has its own queue unless it was made with OnQueue.
type Queue struct {
	name   string
	owner  *dispatcher
	mu     sync.Mutex
	items  fifo[queued]
	bytes  int
	active bool // a dispatcher goroutine runs
	full   bool
	slow   bool // reported since the queue was empty

	handled  uint64
	replaced uint64
	since    time.Time // when the running handler began; zero while none runs
}

// queued is one message for one handler.
type queued struct {
	subscription *subscription
	message      Message
	arrived      time.Time
}

// subscription is one handler and the queue in front of it.
type subscription struct {
	queue  *Queue
	handle func(ctx context.Context, message Message, arrived time.Time)

	// newestOnly keeps only one waiting message, which a newer message replaces. The queue's mu guards newest.
	newestOnly bool
	waiting    bool
	newest     Message

	// reset is called in the queue when everything known about other modules has become invalid. It may be nil.
	reset func(ctx context.Context)
}

// dispatcher runs the queues' handlers, in one goroutine for each queue that is not empty.
type dispatcher struct {
	fail        func(error)
	maxMessages int
	maxBytes    int
	slowAfter   time.Duration
	log         *zap.Logger

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
	queues  []*Queue
}

func (d *dispatcher) newQueue(name string) *Queue {
	queue := &Queue{name: name, owner: d}
	d.mu.Lock()
	d.queues = append(d.queues, queue)
	d.mu.Unlock()
	return queue
}

// start runs drain unless the dispatcher has stopped.
func (d *dispatcher) start(drain func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return false
	}
	d.running.Go(drain)
	return true
}

// stop is called when the context has ended. It waits for running handlers and reports whether all of them ended in
// time.
func (d *dispatcher) stop(within time.Duration) bool {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	return waitFor(&d.running, within)
}

// busy returns the names of the queues whose handlers run.
func (d *dispatcher) busy() []string {
	var names []string
	for _, stats := range d.stats(time.Now()) {
		if stats.Running > 0 {
			names = append(names, stats.Name)
		}
	}
	return names
}

func (d *dispatcher) stats(now time.Time) []QueueStats {
	d.mu.Lock()
	queues := slices.Clone(d.queues)
	d.mu.Unlock()
	all := make([]QueueStats, 0, len(queues))
	for _, queue := range queues {
		all = append(all, queue.stats(now))
	}
	return all
}

func waitFor(group *sync.WaitGroup, within time.Duration) bool {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// push is called for every message in the order of arrival. It never blocks and runs no handler.
func (q *Queue) push(ctx context.Context, s *subscription, message Message) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.newestOnly && s.waiting {
		q.bytes += len(message.Payload) - len(s.newest.Payload)
		q.replaced++
		s.newest = message
		q.reportSlow(now)
		return
	}
	if q.full {
		return
	}
	if q.items.len() >= q.owner.maxMessages || q.items.len() > 0 && q.bytes+len(message.Payload) > q.owner.maxBytes {
		q.full = true
		q.owner.fail(&queueFullError{Queue: q.name, Topic: message.Topic, Messages: q.items.len(), Bytes: q.bytes})
		return
	}
	item := queued{subscription: s, message: message, arrived: now}
	if s.newestOnly {
		s.waiting, s.newest = true, message
		item.message = Message{}
	}
	q.items.push(item)
	q.bytes += len(message.Payload)
	if q.active {
		q.reportSlow(now)
		return
	}
	q.active = q.owner.start(func() { q.drain(ctx) })
}

// reportSlow checks the age of the oldest waiting message whenever another message arrives, so that nothing has to
// poll.
func (q *Queue) reportSlow(now time.Time) {
	oldest, ok := q.items.front()
	if !ok || q.slow || now.Sub(oldest.arrived) < q.owner.slowAfter {
		return
	}
	q.slow = true
	q.owner.log.Warn("handler does not keep up", zap.String("queue", q.name), zap.Int("waiting", q.items.len()),
		zap.Int("bytes", q.bytes), zap.Duration("age", now.Sub(oldest.arrived)))
}

func (q *Queue) drain(ctx context.Context) {
	for {
		item, ok := q.take(ctx)
		if !ok {
			return
		}
		if item.message.Topic == "" { // only reset has none
			item.subscription.reset(ctx)
			continue
		}
		item.subscription.handle(ctx, item.message, item.arrived)
	}
}

func (q *Queue) take(ctx context.Context) (queued, bool) {
	now := time.Now()
	ended := ctx.Err() != nil // the waiting messages are dropped then
	q.mu.Lock()
	defer q.mu.Unlock()
	if took := now.Sub(q.since); !q.since.IsZero() {
		q.handled++
		if took >= q.owner.slowAfter && !q.slow {
			q.slow = true
			q.owner.log.Warn("handler was slow", zap.String("queue", q.name), zap.Duration("took", took))
		}
	}
	item, ok := q.items.pop()
	if !ok || ended {
		q.active, q.slow, q.since = false, false, time.Time{}
		return queued{}, false
	}
	if s := item.subscription; s.newestOnly && s.waiting {
		item.message, s.newest, s.waiting = s.newest, Message{}, false
	}
	q.bytes -= len(item.message.Payload)
	q.since = now
	return item, true
}

// pushReset appends a reset to the waiting messages.
func (q *Queue) pushReset(ctx context.Context, s *subscription) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items.push(queued{subscription: s, arrived: time.Now()})
	if !q.active {
		q.active = q.owner.start(func() { q.drain(ctx) })
	}
}

// QueueStats describes one queue: the messages that wait in it, and its running handler.
type QueueStats struct {
	// Name is the name given to NewQueue, or the subscription's topic.
	Name string
	// Depth is the number of waiting messages. Bytes is the size of their payloads.
	Depth, Bytes int
	// Oldest is the age of the oldest waiting message, or 0 when no message waits. Running is how long the current
	// handler has run, or 0 when no handler runs.
	Oldest, Running time.Duration
	// Handled counts the messages whose handler has returned. Replaced counts the messages that NewestOnly skipped.
	Handled, Replaced uint64
}

func (q *Queue) stats(now time.Time) QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	stats := QueueStats{Name: q.name, Depth: q.items.len(), Bytes: q.bytes, Handled: q.handled, Replaced: q.replaced}
	if oldest, ok := q.items.front(); ok {
		stats.Oldest = now.Sub(oldest.arrived)
	}
	if !q.since.IsZero() {
		stats.Running = now.Sub(q.since)
	}
	return stats
}

// fifo is a growing ring. When it becomes empty it releases its memory, unless the ring is small.
type fifo[T any] struct {
	ring  []T
	head  int
	count int
}

// fifoKeep is the length of ring that an empty fifo keeps.
const fifoKeep = 64

func (f *fifo[T]) len() int { return f.count }

func (f *fifo[T]) push(value T) {
	if f.count == len(f.ring) {
		grown := make([]T, max(4, 2*len(f.ring)))
		n := copy(grown, f.ring[f.head:])
		copy(grown[n:], f.ring[:f.head])
		f.ring, f.head = grown, 0
	}
	f.ring[(f.head+f.count)%len(f.ring)] = value
	f.count++
}

func (f *fifo[T]) front() (value T, ok bool) {
	if f.count == 0 {
		return value, false
	}
	return f.ring[f.head], true
}

func (f *fifo[T]) pop() (value T, ok bool) {
	if f.count == 0 {
		return value, false
	}
	var none T
	value, f.ring[f.head] = f.ring[f.head], none
	f.head = (f.head + 1) % len(f.ring)
	f.count--
	if f.count == 0 && len(f.ring) > fifoKeep {
		f.ring, f.head = nil, 0
	}
	return value, true
}
