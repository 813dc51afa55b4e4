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

// minUpdate is the time between two looks at what changed in the cache. Each look costs as much as many packets.
const minUpdate = 10 * time.Millisecond

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

// browse queries and listens until the context ends. It keeps what it receives in the cache, and calls update after
// anything that may have changed it. A value in restart restarts the schedule.
func browse(ctx context.Context, n *network, c *cache, restart <-chan struct{}, update func(time.Time)) error {
	query, err := packQuery()
	if err != nil {
		return err
	}
	schedule, lastQuestion := querySchedule{}, time.Time{}
	// due is when the cache must be advanced next, advanced when it was last. Most packets of strangers change nothing.
	due, advanced := time.Now(), time.Time{}
	refresh := func() {
		changed, gone := n.refresh()
		for _, name := range gone {
			c.removeInterface(time.Now(), name)
			due = time.Now()
		}
		if len(changed) > 0 {
			schedule.restart(time.Now())
		}
	}
	next := func() (time.Time, bool) {
		if due.Before(schedule.next) {
			return due, true
		}
		return schedule.next, true
	}
	work := func() {
		now := time.Now()
		if !now.Before(due) {
			advanced = now
			c.advance(now)
			if question := c.lastQuestion(); question.After(lastQuestion) {
				lastQuestion = question
				schedule.restart(now)
			}
			update(now)
			var any bool
			if due, any = c.next(now); !any {
				due = now.Add(lifetimeOfSighting)
			}
		}
		if schedule.take(now) {
			var packets []outgoing
			for name := range n.interfaces {
				packets = append(packets, outgoing{iface: name, data: query})
			}
			n.send(packets)
		}
	}
	receive := func(p packet) {
		// RFC 6762 section 6: a response from another port is ignored.
		m, _ := parse(p.data)
		if !m.response || p.from.Port() != groupPort || !n.isLocal(p.iface, p.from.Addr()) {
			return
		}
		if !c.add(time.Now(), p.iface, p.from.Addr(), m.records) {
			return
		}
		if soon := advanced.Add(minUpdate); soon.Before(due) {
			due = soon
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
	c := newCache("", false)
	err = browse(ctx, n, c, nil, func(now time.Time) { found = c.all(now) })
	return found, err
}
