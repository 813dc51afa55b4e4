package satellite

import (
	"context"
	"sync"
	"time"
)

// mostBacklog is how many bytes of events the controller takes in before they
// are published; beyond, it asks the agent for none.
const mostBacklog = 4 << 20

// mostPerBatch bounds one answer of link_events: large enough to carry much in
// one, small enough to be published while the next is on its way.
const mostPerBatch = 256 << 10

// delivery is the line of what a v2 link brought, in front of the main board's
// broker: a slow broker holds up neither the link nor the satellite. start makes
// it usable.
type delivery struct {
	lock  sync.Mutex
	items []delivered
	bytes int
	// events is how many are not published yet, those included that are under way.
	events int
	// filled and emptied are signalled when something came, and when there is
	// room again.
	filled, emptied chan struct{}
}

// delivered is an event of a session, or something else to do in its turn.
type delivered struct {
	session *linkSession
	event   Event
	do      func(context.Context)
}

func (d *delivery) start() {
	d.filled, d.emptied = make(chan struct{}, 1), make(chan struct{}, 1)
}

func (d *delivery) add(items ...delivered) {
	if len(items) == 0 {
		return
	}
	d.lock.Lock()
	d.items = append(d.items, items...)
	for _, item := range items {
		d.bytes += item.event.size()
		if item.do == nil {
			d.events++
		}
	}
	d.lock.Unlock()
	signal(d.filled)
}

// take hands everything over that is there.
func (d *delivery) take(into []delivered) []delivered {
	d.lock.Lock()
	defer d.lock.Unlock()
	taken := d.items
	d.items = into[:0]
	return taken
}

// gone says that an event of so many bytes is published.
func (d *delivery) gone(bytes int) {
	d.lock.Lock()
	before := d.bytes
	d.bytes -= bytes
	d.events--
	room := before > mostBacklog/2 && d.bytes <= mostBacklog/2
	d.lock.Unlock()
	if room {
		signal(d.emptied)
	}
}

func (d *delivery) room() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return max(0, mostBacklog-d.bytes)
}

// waitForRoom waits until half of the backlog is published, or the time is over.
func (d *delivery) waitForRoom(ctx context.Context, limit time.Duration) int {
	if room := d.room(); room > 0 {
		return room
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.emptied:
	case <-timer.C:
	case <-ctx.Done():
	}
	return d.room()
}

// len is how many events wait to be published.
func (d *delivery) len() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.events
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// publishAll publishes what comes, one after the other, from the moment when this
// board is ready to the end of the protocol.
func (c *Controller) publishAll() {
	select {
	case <-c.relay.opened:
	case <-c.loop.ended:
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var items []delivered
	for {
		items = c.delivery.take(items)
		for i, item := range items {
			select {
			case <-c.loop.ended:
				return
			default:
			}
			c.publishOne(ctx, item)
			items[i] = delivered{}
		}
		if len(items) > 0 {
			continue
		}
		select {
		case <-c.delivery.filled:
		case <-c.loop.ended:
			return
		}
	}
}

func (c *Controller) publishOne(ctx context.Context, item delivered) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if item.do != nil {
		item.do(ctx)
		return
	}
	c.relay.deliverOne(ctx, item.event)
	item.session.published(item.event.Number)
	c.delivery.gone(item.event.size())
}
