package link

import (
	"context"
	"sync"
	"time"
)

const (
	// maxBacklog is how many bytes of events the queue takes before they are published. Beyond it the controller asks
	// the agent for none.
	maxBacklog = 4 << 20
	// publishTimeout bounds publishing one event. A broker that takes longer is as good as gone.
	publishTimeout = 30 * time.Second
)

// Queue is where the satellite's events wait for the main board's broker, in their order, with other tasks between
// them. So a slow broker delays neither the link nor the satellite. Its methods may be called from any goroutine.
type Queue struct {
	mu    sync.Mutex
	items []queued
	bytes int
	// events counts those that are not published yet, with those under way.
	events int
	// filled and emptied are signalled when something was added, and when there is room again.
	filled, emptied chan struct{}
}

// queued is one batch or one task.
type queued struct {
	batch Batch
	// published is called with each event's number; nil where nobody wants it.
	published func(number uint64)
	// unique: the agent does not have the events any more.
	unique bool
	task   func(context.Context)
}

// NewQueue returns an empty queue.
func NewQueue() *Queue {
	return &Queue{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// Add queues events that the agent keeps until they are acknowledged. published is called with the number of each event
// once it is published.
func (q *Queue) Add(batch Batch, published func(number uint64)) {
	q.add(queued{batch: batch, published: published})
}

// AddUnique queues events that the agent has forgotten. They are published even after the end of the protocol.
func (q *Queue) AddUnique(batch Batch) { q.add(queued{batch: batch, unique: true}) }

// AddTask queues something else to do in its turn.
func (q *Queue) AddTask(task func(context.Context)) { q.add(queued{task: task}) }

func (q *Queue) add(item queued) {
	if item.task == nil && item.batch.Count == 0 {
		return
	}
	q.mu.Lock()
	q.items = append(q.items, item)
	q.bytes += item.batch.Bytes
	q.events += item.batch.Count
	q.mu.Unlock()
	signal(q.filled)
}

// WaitForRoom waits until half of the backlog is published, or until the time is over. It returns how many bytes there
// is room for.
func (q *Queue) WaitForRoom(ctx context.Context, limit time.Duration) int {
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

func (q *Queue) room() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, maxBacklog-q.bytes)
}

// Len returns how many events wait to be published.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

// Run publishes events and carries out tasks one after the other, until ended is closed. It then publishes what only
// this board still has.
func (q *Queue) Run(ended <-chan struct{}, publish func(context.Context, Event)) {
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

// take returns everything that is queued.
func (q *Queue) take(into []queued) []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.items
	q.items = into[:0]
	return taken
}

// carryOut handles one item. After the end it skips what need not be published.
func (q *Queue) carryOut(item queued, ended <-chan struct{}, publish func(context.Context, Event)) {
	if item.task != nil {
		if !closed(ended) {
			withTimeout(item.task)
		}
		return
	}
	for event := range item.batch.All() {
		if !item.unique && closed(ended) {
			return
		}
		withTimeout(func(ctx context.Context) { publish(ctx, event) })
		if item.published != nil {
			item.published(event.Number)
		}
		q.publishedOne(event.Size())
	}
}

func withTimeout(do func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	do(ctx)
}

// publishedOne frees the room of an event.
func (q *Queue) publishedOne(bytes int) {
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
