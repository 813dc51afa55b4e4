package link

import (
	"slices"
	"time"
)

// MaxUnheardEnds is how many ends of transactions outlive the process. The main board holds one session of an EVSE, and
// the oldest end is that session's. A newer end beyond the bound is not kept.
const MaxUnheardEnds = 4

// keepDelay is how long an end may wait for the controller before it is kept on disk. A controller that is there has it
// within milliseconds, so that flash memory is written only in an outage.
const keepDelay = time.Second

// unheardEnds are the events of a journal that end a transaction and that the controller does not have, oldest first.
// The journal's mutex protects them.
type unheardEnds struct {
	events []Event
	// changed has an element after events has changed.
	changed chan struct{}
}

func newUnheardEnds() unheardEnds { return unheardEnds{changed: make(chan struct{}, 1)} }

// add appends an end.
func (u *unheardEnds) add(event Event) {
	if len(u.events) < MaxUnheardEnds {
		u.events = append(u.events, event)
		u.signal()
	}
}

// heard forgets the ends up to a number: the controller has them.
func (u *unheardEnds) heard(number uint64) {
	count := 0
	for count < len(u.events) && u.events[count].Number <= number {
		count++
	}
	if count > 0 {
		u.events = slices.Delete(u.events, 0, count)
		u.signal()
	}
}

func (u *unheardEnds) signal() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// endKeeper has the ends of transactions kept on disk while the controller does not have them. An end is kept once
// keepDelay has passed, or the process ends. It is given up as soon as the controller has it.
type endKeeper struct {
	journal *journal
	// keep replaces what is kept, and logs why it cannot. It is nil where nothing is kept.
	keep func([]Event) error
	// kept are the numbers of the ends that are kept.
	kept []uint64
}

// run keeps the ends until the link has ended. It does not keep those that wait then: see flush.
func (k *endKeeper) run(ended <-chan struct{}) {
	if k.keep == nil {
		return
	}
	var delay <-chan time.Time // nil while no end waits to be kept
	for {
		select {
		case <-k.journal.ends.changed:
		case <-delay:
			k.flush()
		case <-ended:
			return
		}
		switch unheard := k.journal.unheard(); {
		case k.keeps(unheard):
			// What else is kept was heard, and must not come again.
			if len(unheard) < len(k.kept) {
				k.replace(unheard)
			}
			delay = nil
		case delay == nil:
			delay = time.After(keepDelay)
		}
	}
}

// flush keeps the ends that the controller does not have. It must not be called beside run.
func (k *endKeeper) flush() {
	if unheard := k.journal.unheard(); k.keep != nil && !(k.keeps(unheard) && len(unheard) == len(k.kept)) {
		k.replace(unheard)
	}
}

// keeps reports whether all of these ends are kept already.
func (k *endKeeper) keeps(ends []Event) bool {
	return !slices.ContainsFunc(ends, func(end Event) bool { return !slices.Contains(k.kept, end.Number) })
}

// replace replaces what is kept. What fails is tried again at the next change, and in flush.
func (k *endKeeper) replace(ends []Event) {
	if k.keep(ends) != nil {
		return
	}
	k.kept = k.kept[:0]
	for _, end := range ends {
		k.kept = append(k.kept, end.Number)
	}
}
