package page

import "time"

// counter records when a counter of a module grew, so that a single event stays visible for a while.
type counter struct {
	value uint64
	known bool
	grew  []growth
}

type growth struct {
	at time.Time
	by uint64
}

// observe records the counter's value. A smaller value means that the module has restarted. The first value counts as
// old.
func (c *counter) observe(now time.Time, value uint64) {
	switch {
	case !c.known, value == c.value:
	case value > c.value:
		c.grew = append(c.grew, growth{now, value - c.value})
	case value > 0:
		c.grew = append(c.grew, growth{now, value})
	}
	c.value, c.known = value, true
	for len(c.grew) > 0 && now.Sub(c.grew[0].at) > memory {
		c.grew = c.grew[1:]
	}
}

// within returns by how much the counter grew in the last period.
func (c *counter) within(now time.Time, period time.Duration) uint64 {
	var sum uint64
	for _, g := range c.grew {
		if now.Sub(g.at) <= period {
			sum += g.by
		}
	}
	return sum
}
