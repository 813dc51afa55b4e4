package discovery

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// The first queries are a second apart, each later pause is twice as long (RFC 6762 section 5.2). A record lives four
// times as long as the longest pause, so one lost packet does not make a board disappear.
const (
	minPause = time.Second
	maxPause = 30 * time.Second
)

// querySchedule decides when to query. The zero value queries at once.
type querySchedule struct {
	last, next time.Time
	pause      time.Duration
}

// restart begins again with short pauses.
func (s *querySchedule) restart(now time.Time) {
	s.pause = minPause
	if earliest := s.last.Add(minPause); earliest.After(now) {
		now = earliest
	}
	if now.Before(s.next) {
		s.next = now
	}
}

// take reports whether a query is due, and counts it as sent.
func (s *querySchedule) take(now time.Time) bool {
	if now.Before(s.next) {
		return false
	}
	s.pause = max(s.pause, minPause)
	s.last, s.next = now, now.Add(s.pause)
	s.pause = min(2*s.pause, maxPause)
	return true
}

// browse queries and listens until the context ends. It calls update after anything that may have changed the cache. A
// value in restart restarts the schedule.
func browse(ctx context.Context, n *network, restart <-chan struct{}, update func(time.Time, *cache)) error {
	query, err := packQuery()
	if err != nil {
		return err
	}
	c, schedule, lastQuestion := newCache(), querySchedule{}, time.Time{}
	refresh := func() {
		changed, gone := n.refresh()
		for _, name := range gone {
			c.removeInterface(time.Now(), name)
		}
		if len(changed) > 0 {
			schedule.restart(time.Now())
		}
	}
	next := func() (time.Time, bool) {
		if due, any := c.next(time.Now()); any && due.Before(schedule.next) {
			return due, true
		}
		return schedule.next, true
	}
	work := func() {
		now := time.Now()
		c.advance(now)
		if question := c.lastQuestion(); question.After(lastQuestion) {
			lastQuestion = question
			schedule.restart(now)
		}
		if schedule.take(now) {
			var packets []outgoing
			for name := range n.interfaces {
				packets = append(packets, outgoing{iface: name, data: query})
			}
			n.send(packets)
		}
		update(now, c)
	}
	receive := func(p packet) {
		// RFC 6762 section 6: a response from another port is ignored.
		if m, _ := parse(p.data); m.response && p.from.Port() == groupPort && n.isLocal(p.iface, p.from.Addr()) {
			c.add(time.Now(), p.iface, m.records)
		}
	}
	n.run(ctx, loop{
		refresh: refresh, receive: receive, work: work, next: next,
		signal: restart, onSignal: func() { schedule.restart(time.Now()) },
	})
	return nil
}

// Discover collects the satellites that announce themselves on the interfaces, and returns them when the context ends.
// A time limit of a few seconds is enough. Discover returns an error only where no query could be sent at all. The
// boards are sorted by serial number. Two boards with one serial number are two entries.
func Discover(ctx context.Context, interfaces []string) ([]Satellite, error) {
	if err := checkInterfaces(interfaces); err != nil {
		return nil, err
	}
	n, err := openNetwork(interfaces, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer n.close()
	var found []Satellite
	err = browse(ctx, n, nil, func(now time.Time, c *cache) { found = c.all(now) })
	return found, err
}
