package main

import (
	"slices"
	"time"
)

// agenda is what has to be done later, all of it by the one who asks for what is
// due. Its zero value is empty.
type agenda struct{ entries []entry }

type entry struct {
	at time.Time
	do func()
}

func (a *agenda) add(at time.Time, do func()) {
	after := slices.IndexFunc(a.entries, func(e entry) bool { return e.at.After(at) })
	if after < 0 {
		after = len(a.entries)
	}
	a.entries = slices.Insert(a.entries, after, entry{at, do})
}

// run does what is due, the oldest first, and returns when to come again.
func (a *agenda) run(now time.Time) (next time.Time, ok bool) {
	for len(a.entries) > 0 && !a.entries[0].at.After(now) {
		due := a.entries[0]
		a.entries = a.entries[1:]
		due.do()
	}
	if len(a.entries) == 0 {
		return time.Time{}, false
	}
	return a.entries[0].at, true
}
