package discovery

import (
	"maps"
	"time"
)

const (
	// responseTime is how long other boards with the same serial number get to respond to a query. Before that a single
	// board does not count as the only one. A board that has just announced itself may not do so again for a second (RFC
	// 6762 section 6), and delays its response by up to 120 ms.
	responseTime = minInterval + 120*time.Millisecond
	// roundTime is how long one round of a conflict takes. All boards are queried several times in it. A board that has
	// not responded at its end is dropped: it was switched off and left its records behind.
	roundTime = 4 * time.Second
	// roundInterval is the time from one round to the next while a conflict lasts.
	roundInterval = 10 * time.Second
)

// conflict is that several boards announce one serial number.
type conflict struct {
	// began is when the current round began. decided means that it is over, settled that any round was.
	began            time.Time
	decided, settled bool
}

// due returns when the conflict must be decided or a new round begins.
func (c *conflict) due() time.Time {
	if c.decided {
		return c.began.Add(roundInterval)
	}
	return c.began.Add(roundTime)
}

// decideConflicts begins, continues and ends conflicts.
func (c *cache) decideConflicts(now time.Time) {
	if c.verified {
		return
	}
	boards := c.boards(now)
	for serial, found := range boards {
		known := c.conflicts[serial]
		switch {
		case len(found) < 2:
			delete(c.conflicts, serial)
		case known == nil:
			c.conflicts[serial] = &conflict{began: now}
		case !known.decided && !now.Before(known.due()):
			c.dropSilent(serial, known.began)
			known.decided, known.settled = true, true
			if len(c.boards(now)[serial]) < 2 {
				delete(c.conflicts, serial)
			}
		case known.decided && !now.Before(known.due()):
			known.began, known.decided = now, false
		}
	}
	for serial := range c.conflicts {
		if len(boards[serial]) == 0 {
			delete(c.conflicts, serial)
		}
	}
}

// dropSilent drops the instances of a serial number that were not received since a time.
func (c *cache) dropSilent(serial string, since time.Time) {
	for _, s := range c.sources {
		maps.DeleteFunc(s.instances, func(_ string, found *instance) bool {
			return found.fields["serial"] == serial && found.received().Before(since)
		})
	}
}

// lastQuestion returns when boards had to be queried last: a round of a conflict began, or a new board was received.
func (c *cache) lastQuestion() time.Time {
	latest := c.newest(func(*instance) bool { return true })
	for _, conflict := range c.conflicts {
		if !conflict.decided && conflict.began.After(latest) {
			latest = conflict.began
		}
	}
	return latest
}

// newest returns when the youngest of some instances was received first. A board has an instance on each of its
// interfaces.
func (c *cache) newest(which func(*instance) bool) time.Time {
	var newest time.Time
	for _, s := range c.sources {
		for _, found := range s.instances {
			if which(found) && found.since.After(newest) {
				newest = found.since
			}
		}
	}
	return newest
}

// isSettled reports whether the number of boards can be relied on. Boards that prove their serial number are settled
// after the first of them had its time: a stranger must not delay that with ever new announcements.
func (c *cache) isSettled(now time.Time, serial string, boards int) bool {
	if known := c.conflicts[serial]; known != nil {
		return known.settled
	}
	waitedSince := c.since
	if !c.verified {
		waitedSince = c.newest(func(i *instance) bool { return i.fields["serial"] == serial })
	}
	return boards > 0 && !waitedSince.Add(responseTime).After(now)
}
