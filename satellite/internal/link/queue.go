package link

import (
	"context"
	"sync"
	"time"
)

const (
	// maxBacklog is how many bytes of events may wait to be published. At this bound the controller asks the agent for
	// no more.
	maxBacklog = 4 << 20
	// publishTimeout is how long publishing one event, or one task, may take before its context ends.
	publishTimeout = 30 * time.Second
)

// queue holds the satellite's events, and tasks between them, until the main board's broker takes them. A slow broker
// so delays neither the link nor the satellite. Its methods may be called from any goroutine.
type queue struct {
	mu    sync.Mutex
	items []queued
	bytes int
	// events counts the events that are not published yet, also one that is being published.
	events int
	// filled is signalled when an item was added, and emptied when there is room again.
	filled, emptied chan struct{}
}

// queued is one batch or one task.
type queued struct {
	batch eventBatch
	// published is called with each published event's number, unless it is nil.
	published func(number uint64)
	// unique marks events that the agent has forgotten.
	unique bool
	task   func(context.Context)
}

func newQueue() *queue {
	return &queue{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// add queues events that the agent keeps until they are acknowledged. published is called with the number of each event
// once that event is published.
func (q *queue) add(batch eventBatch, published func(number uint64)) {
	q.enqueue(queued{batch: batch, published: published})
}

// addUnique queues events that the agent has forgotten. They are published even after the end of the protocol.
func (q *queue) addUnique(batch eventBatch) { q.enqueue(queued{batch: batch, unique: true}) }

func (q *queue) addTask(task func(context.Context)) { q.enqueue(queued{task: task}) }

func (q *queue) enqueue(item queued) {
	if item.task == nil && item.batch.count == 0 {
		return
	}
	q.mu.Lock()
	q.items = append(q.items, item)
	q.bytes += item.batch.bytes
	q.events += item.batch.count
	q.mu.Unlock()
	signal(q.filled)
}

// waitForRoom returns how many bytes there is room for. Where there is none, it first waits until half of the backlog
// is published, at most the time limit.
func (q *queue) waitForRoom(ctx context.Context, limit time.Duration) int {
	if room := q.room(); room > 0 {
		return room
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-q.emptied:
	case <-timer.C:
	case <-ctx.Done():
	}
	return q.room()
}

func (q *queue) room() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, maxBacklog-q.bytes)
}

// len returns how many events wait to be published.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

// run publishes events and executes tasks, one after the other, until ended is closed. It then publishes the queued
// events that the agent has forgotten.
func (q *queue) run(ended <-chan struct{}, publish func(context.Context, Event)) {
	var items []queued
	for {
		items = q.take(items)
		for i, item := range items {
			q.carryOut(item, ended, publish)
			items[i] = queued{}
		}
		if len(items) > 0 {
			continue
		}
		select {
		case <-q.filled:
		case <-ended:
			return
		}
	}
}

// take returns the queued items. The array of into takes the next ones.
func (q *queue) take(into []queued) []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.items
	q.items = into[:0]
	return taken
}

// carryOut handles one item. Once ended is closed it skips tasks, and events that the agent still has.
func (q *queue) carryOut(item queued, ended <-chan struct{}, publish func(context.Context, Event)) {
	if item.task != nil {
		if !closed(ended) {
			withTimeout(item.task)
		}
		return
	}
	for event := range item.batch.all {
		if !item.unique && closed(ended) {
			return
		}
		withTimeout(func(ctx context.Context) { publish(ctx, event) })
		if item.published != nil {
			item.published(event.Number)
		}
		q.publishedOne(event.size())
	}
}

func withTimeout(do func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	do(ctx)
}

// publishedOne frees the room of an event.
func (q *queue) publishedOne(bytes int) {
	q.mu.Lock()
	before := q.bytes
	q.bytes -= bytes
	q.events--
	room := before > maxBacklog/2 && q.bytes <= maxBacklog/2
	q.mu.Unlock()
	if room {
		signal(q.emptied)
	}
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

func closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
