package main

import (
	"fmt"
	"slices"
	"time"
)

// Item is one thing that one side sends and the other shall receive.
type Item struct {
	Label  string
	Digest string
	At     time.Time
}

func (i Item) same(other Item) bool { return i.Label == other.Label && i.Digest == other.Digest }

// Stream compares what was sent with what arrived: each item once, unchanged, in
// order. Reports of the two sides come in any order relative to each other.
type Stream struct {
	Sent, Received int
	// Skips is set where the sending side may be answered by somebody else in the
	// receiver's stead: then an arrival like one that was overtaken may be that of
	// an equal one that is not reported yet, and is kept until Settle.
	Skips bool
	// OutOfOrder are items that arrived after one that had been sent later.
	OutOfOrder []Item

	outstanding []Item // sent, not arrived
	overtaken   []Item // sent, not arrived, though a later one has
	early       []Item // arrived, their sending is not reported yet
	unexpected  []Item // arrived, and nothing like them was sent
	settling    bool
}

// Send adds an item of the sending side, and returns the delays of the items
// that are now known to have arrived.
func (s *Stream) Send(item Item) []time.Duration {
	s.Sent++
	s.outstanding = append(s.outstanding, item)
	return s.match()
}

// Receive adds an item of the receiving side.
func (s *Stream) Receive(item Item) []time.Duration {
	s.Received++
	s.early = append(s.early, item)
	return s.match()
}

func (s *Stream) match() []time.Duration {
	var delays []time.Duration
	for len(s.early) > 0 {
		arrived := s.early[0]
		if at := slices.IndexFunc(s.outstanding, arrived.same); at >= 0 {
			delays = append(delays, arrived.At.Sub(s.outstanding[at].At))
			s.overtaken = append(s.overtaken, s.outstanding[:at]...)
			s.outstanding = s.outstanding[at+1:]
		} else if at := slices.IndexFunc(s.overtaken, arrived.same); at >= 0 && (!s.Skips || s.settling) {
			s.OutOfOrder = append(s.OutOfOrder, arrived)
			s.overtaken = slices.Delete(s.overtaken, at, at+1)
		} else {
			return delays
		}
		s.early = s.early[1:]
	}
	return delays
}

// Balanced reports whether everything sent has arrived and nothing else has.
func (s *Stream) Balanced() bool {
	return len(s.outstanding) == 0 && len(s.overtaken) == 0 && len(s.early) == 0 && len(s.unexpected) == 0
}

// Settle ends the comparison: what has arrived without being sent until now never
// was, so matching goes on behind it.
func (s *Stream) Settle() {
	s.settling = true
	s.match()
	for len(s.early) > 0 {
		s.unexpected = append(s.unexpected, s.early[0])
		s.early = s.early[1:]
		s.match()
	}
}

// Excuse forgets arrivals with the digest that nobody is known to have sent, at
// most so many, and returns how many.
func (s *Stream) Excuse(digest string, most int) int {
	excused := 0
	s.unexpected = slices.DeleteFunc(s.unexpected, func(item Item) bool {
		if item.Digest != digest || excused == most {
			return false
		}
		excused++
		return true
	})
	return excused
}

// Forgive forgets so many of the missing items, the oldest first.
func (s *Stream) Forgive(count int) {
	first := min(count, len(s.overtaken))
	s.overtaken = s.overtaken[first:]
	s.outstanding = s.outstanding[min(count-first, len(s.outstanding)):]
}

// Missing are the items that were sent and have not arrived.
func (s *Stream) Missing() []Item { return slices.Concat(s.overtaken, s.outstanding) }

// Problems says in words what does not balance after Settle; missing items are
// left out where lost is true, because whoever held them was killed.
func (s *Stream) Problems(lost bool) []string {
	var problems []string
	if missing := s.Missing(); len(missing) > 0 && !lost {
		problems = append(problems, fmt.Sprintf("%d of %d missing: %s", len(missing), s.Sent, labels(missing)))
	}
	if len(s.OutOfOrder) > 0 {
		problems = append(problems, fmt.Sprintf("%d out of order: %s", len(s.OutOfOrder), labels(s.OutOfOrder)))
	}
	if len(s.unexpected) > 0 {
		problems = append(problems, fmt.Sprintf("%d changed on the way, twice, or never sent: %s", len(s.unexpected), labels(s.unexpected)))
	}
	return problems
}

// labels lists the first few items.
func labels(items []Item) string {
	const most = 5
	text := ""
	for i, item := range items {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(items)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += item.Label
	}
	return text
}
