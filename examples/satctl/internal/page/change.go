package page

import "time"

// changesKept is how many changes a page that opens still learns of.
const changesKept = 200

// Change is a board's way from one level to another.
type Change struct {
	// Number counts the changes since the server's start, from 1.
	Number   uint64    `json:"number"`
	Time     time.Time `json:"time"`
	ModuleID string    `json:"module_id"`
	From     Level     `json:"from"`
	To       Level     `json:"to"`
	// New is true for a board's first appearance, when From means nothing.
	New    bool   `json:"new"`
	Reason string `json:"reason"`
}

// changes are the last ones, the oldest first.
type changes struct {
	count uint64
	last  []Change
}

func (c *changes) add(change Change) {
	c.count++
	change.Number = c.count
	if len(c.last) == changesKept {
		copy(c.last, c.last[1:])
		c.last = c.last[:changesKept-1]
	}
	c.last = append(c.last, change)
}
