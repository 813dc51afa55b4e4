package rpc

import (
	"errors"
	"sync"
)

// freeBuffer is the size of a read buffer in bytes up to which an unfinished message in it is not charged. Small calls
// so take no lock.
const freeBuffer = 64 << 10

// errOverBudget ends a session whose unfinished message was given up because the unfinished messages of all sessions
// exceeded Limits.UnfinishedBytes.
var errOverBudget = errors.New("rpc: too many bytes in unfinished messages")

// unfinished holds the unfinished messages of a server's sessions to one budget of bytes. When they exceed the budget,
// sessions with an unfinished message are closed: first those whose frame size was lowered, among equals the one whose
// message began first. An honest message is complete before the messages that are only held open.
type unfinished struct {
	// max is the budget in bytes.
	max int

	mu   sync.Mutex
	used int
	// begun numbers the messages in the order of their first charge.
	begun   uint64
	charges map[*charge]struct{}
}

// charge is what one session's unfinished message costs.
type charge struct {
	session *Session
	// held is the size of the buffer, 0 where nothing is charged.
	held  int
	began uint64
}

func newUnfinished(budget int) *unfinished {
	return &unfinished{max: budget, charges: make(map[*charge]struct{})}
}

// set charges size bytes for the message of c. It closes other sessions where the budget demands that, and returns
// errOverBudget where the session of c has to close.
func (u *unfinished) set(c *charge, size int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.held == 0 {
		u.begun++
		c.began = u.begun
	}
	u.used += size - c.held
	c.held = size
	u.charges[c] = struct{}{}
	for u.used > u.max && len(u.charges) > 1 {
		victim := u.victimLocked()
		u.endLocked(victim)
		if victim == c {
			return errOverBudget
		}
		victim.session.breakOff(errOverBudget)
	}
	return nil
}

func (u *unfinished) victimLocked() (victim *charge) {
	for c := range u.charges {
		if victim == nil || c.before(victim) {
			victim = c
		}
	}
	return victim
}

// before reports whether c is given up before other.
func (c *charge) before(other *charge) bool {
	if lowered := c.session.isLowered(); lowered != other.session.isLowered() {
		return lowered
	}
	return c.began < other.began
}

// end ends the charge of a message that is complete or given up.
func (u *unfinished) end(c *charge) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.endLocked(c)
}

func (u *unfinished) endLocked(c *charge) {
	if _, charged := u.charges[c]; charged {
		delete(u.charges, c)
		u.used -= c.held
	}
	c.held = 0
}
