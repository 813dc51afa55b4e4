package link

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// maxBacklog is how many bytes of events may wait to be published. At this bound the controller asks the agent for
	// no more.
	maxBacklog = 4 << 20
	// lastWords is how long events that the agent has forgotten may take after the end of the protocol.
	lastWords = 10 * time.Second
)

// queue holds the satellite's events, and tasks between them, until the main board's broker has acknowledged them. A slow
// broker so delays neither the link nor the satellite. Its methods may be called from any goroutine.
type queue struct {
	mu    sync.Mutex
	items []queued
	// bytes is how many bytes of answers the items keep.
	bytes int
	// events counts the events that are not acknowledged yet.
	events int
	// progress is when the broker last acknowledged an event, or when the events that wait began to.
	progress time.Time
	// filled is signalled when an item was added, and emptied when there is room again.
	filled, emptied chan struct{}
}

// queued is one batch or one task.
type queued struct {
	batch eventBatch
	// published is called with each event's number once the broker has acknowledged it, unless it is nil.
	published func(number uint64)
	// unique marks events that the agent has forgotten.
	unique bool
	task   func(context.Context)
}

func newQueue() *queue {
	return &queue{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// add queues events that the agent keeps until they are acknowledged. published is called with the number of each event
// once the broker has acknowledged it.
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
	if q.events == 0 {
		q.progress = time.Now()
	}
	q.items = append(q.items, item)
	q.bytes += item.batch.kept
	q.events += item.batch.count
	q.mu.Unlock()
	signal(q.filled)
}

// waitForRoom returns how many bytes there is room for. Where there is none, it first waits until half of the backlog
// is acknowledged, at most the time limit.
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

// len returns how many events wait to be acknowledged.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

// stuck returns how many events wait, and for how long the broker has not acknowledged any.
func (q *queue) stuck() (events int, since time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events == 0 {
		return 0, 0
	}
	return q.events, time.Since(q.progress)
}

// run publishes events and executes tasks, one after the other, until ended is closed. It then publishes the queued
// events that the agent has forgotten. acknowledged calls its argument once all that was published before is
// acknowledged.
func (q *queue) run(ended <-chan struct{}, publish func(context.Context, Event), acknowledged func(func())) {
	q.mu.Lock()
	q.progress = time.Now()
	q.mu.Unlock()
	turn := newTurn(ended)
	defer turn.close()
	var items []queued
	for {
		items = q.take(items)
		for i, item := range items {
			q.carryOut(item, turn, publish, acknowledged)
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

// turn holds the contexts of what is published: usual ends with the protocol, last somewhat later.
type turn struct {
	usual, last context.Context
	ended       <-chan struct{}
	close       func()
}

func newTurn(ended <-chan struct{}) turn {
	usual, endUsual := context.WithCancel(context.Background())
	last, endLast := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-ended:
		case <-last.Done():
		}
		endUsual()
		select {
		case <-time.After(lastWords):
		case <-last.Done():
		}
		endLast()
	})
	return turn{usual, last, ended, func() { endLast(); watching.Wait() }}
}

// take returns the queued items. The array of into takes the next ones.
func (q *queue) take(into []queued) []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.items
	q.items = into[:0]
	return taken
}

// carryOut handles one item. After the end it skips tasks, and events that the agent still has.
func (q *queue) carryOut(item queued, now turn, publish func(context.Context, Event), acknowledged func(func())) {
	if item.task != nil {
		if !closed(now.ended) {
			item.task(now.usual)
		}
		return
	}
	kept := item.batch.kept
	ctx := now.usual
	if item.unique {
		ctx = now.last
	}
	for event := range item.batch.all {
		if ctx.Err() != nil || !item.unique && closed(now.ended) {
			return
		}
		publish(ctx, event)
		number, freed := event.Number, min(event.size(), kept)
		kept -= freed
		acknowledged(func() {
			if item.published != nil {
				item.published(number)
			}
			q.free(freed, 1)
		})
	}
	if kept > 0 {
		acknowledged(func() { q.free(kept, 0) })
	}
}

// giveUp gives up the oldest of the events that the agent has forgotten, as long as the queue is beyond its bound, but for the
// newest batch. It returns how many there were.
func (q *queue) giveUp() (count int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	newest := len(q.items) - 1
	q.items = slices.DeleteFunc(q.items, func(item queued) bool {
		newest--
		if q.bytes <= maxBacklog || !item.unique || newest < 0 {
			return false
		}
		q.bytes -= item.batch.kept
		q.events -= item.batch.count
		count += item.batch.count
		return true
	})
	return count
}

// free frees the room of so many events that the broker has.
func (q *queue) free(bytes, events int) {
	q.mu.Lock()
	before := q.bytes
	q.bytes -= bytes
	q.events -= events
	q.progress = time.Now()
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

// stuckAfter is how long the broker may leave events unacknowledged before the log and the status say so.
const stuckAfter = 5 * time.Second

// watchBroker logs when the board's broker stops to take events, and when it takes them again. It is called with each
// answer of the agent.
func (c *Client) watchBroker() {
	events, since := c.queue.stuck()
	stuck := closed(c.ready) && since > stuckAfter
	if stuck == c.stuck.Load() || !c.stuck.CompareAndSwap(!stuck, stuck) {
		return
	}
	if stuck {
		c.log.Warn("this board's broker does not take the satellite's events: they wait", zap.Int("backlog", events))
	} else {
		c.log.Info("this board's broker takes the satellite's events again")
	}
}

// pollPause is the pause between two polls of a legacy agent while the broker takes nothing. It is shorter than both
// boards wait for each other, and than maxUnasked.
func (c *Client) pollPause() time.Duration {
	return cmp.Or(c.config.Protocol.ReplyTimeout, 30*time.Second) / 6
}

// hasRoom reports whether a legacy agent may be polled. The agent forgets what it is polled for, so while the broker
// takes nothing, this board holds a bounded amount of it. Where there is no room, hasRoom first waits for some.
func (c *Client) hasRoom(ctx context.Context) bool {
	if c.queue.room() > 0 || !closed(c.ready) {
		return true
	}
	room := c.queue.waitForRoom(ctx, c.pollPause()) > 0
	c.watchBroker()
	return room
}

// publishUnique queues events that the agent has forgotten, and waits until the broker has acknowledged them, but not for
// long: the agent must not count this board as lost. Before this board is ready it does not wait.
func (c *Client) publishUnique(batch eventBatch) {
	c.queue.addUnique(batch)
	switch {
	case batch.count == 0:
		return
	case !closed(c.ready):
		if count := c.queue.giveUp(); count > 0 {
			c.log.Warn("the oldest events of the satellite are given up: this board has not started yet", zap.Uint64("given_up", c.evicted.Add(uint64(count))))
		}
		return
	}
	published := make(chan struct{})
	c.queue.addTask(func(context.Context) { c.config.Acknowledged(func() { close(published) }) })
	limit := time.NewTimer(c.pollPause())
	defer limit.Stop()
	select {
	case <-published:
	case <-limit.C:
	case <-c.loop.ended:
	}
}
