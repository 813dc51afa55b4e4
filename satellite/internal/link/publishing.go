package link

import (
	"cmp"
	"context"
	"time"

	"go.uber.org/zap"
)

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
