package ledger

import (
	"fmt"
	"slices"
	"time"
)

// Item is one thing that one side sends and the other must receive.
type Item struct {
	Label  string
	Digest string
	At     time.Time
	epoch  int
}

func (i Item) same(other Item) bool { return i.Label == other.Label && i.Digest == other.Digest }

// Match is an item as it was sent and as it arrived.
type Match struct{ Sent, Arrived Item }

// Stream compares what was sent with what arrived: each item once, unchanged, in
// order. Reports of the two sides come in any order relative to each other.
type Stream struct {
	Sent, Received int
	// Skips is set where another module may answer in the receiver's place. An
	// arrival equal to an overtaken item may then belong to an equal item that is
	// not reported yet, so the stream keeps it until Settle.
	Skips bool
	// OutOfOrder are items that arrived after one that had been sent later.
	OutOfOrder []Item

	outstanding []Item // sent, not arrived: always the newest of those sent
	overtaken   []Item // sent, not arrived, though a later one has
	early       []Item // arrived, their sending is not reported yet
	unexpected  []Item // arrived, and nothing like them was sent
	settling    bool
}

// Send adds an item of the sending side, and returns the items that are now known
// to have arrived.
func (s *Stream) Send(item Item) []Match {
	s.Sent++
	s.outstanding = append(s.outstanding, item)
	return s.match()
}

// Receive adds an item of the receiving side, and returns as Send does.
func (s *Stream) Receive(item Item) []Match {
	s.Received++
	s.early = append(s.early, item)
	return s.match()
}

func (s *Stream) match() []Match {
	var matches []Match
	for len(s.early) > 0 {
		arrived := s.early[0]
		if at := slices.IndexFunc(s.outstanding, arrived.same); at >= 0 {
			matches = append(matches, Match{s.outstanding[at], arrived})
			s.overtaken = append(s.overtaken, s.outstanding[:at]...)
			s.outstanding = s.outstanding[at+1:]
		} else if at := slices.IndexFunc(s.overtaken, arrived.same); at >= 0 && (!s.Skips || s.settling) {
			s.OutOfOrder = append(s.OutOfOrder, arrived)
			s.overtaken = slices.Delete(s.overtaken, at, at+1)
		} else {
			return matches
		}
		s.early = s.early[1:]
	}
	return matches
}

// Balanced reports whether everything sent has arrived and nothing else has.
func (s *Stream) Balanced() bool {
	return len(s.outstanding) == 0 && len(s.overtaken) == 0 && len(s.early) == 0 && len(s.unexpected) == 0
}

// Settle ends the comparison: an arrival whose sending is not reported by now was
// never sent, so matching continues behind it.
func (s *Stream) Settle() {
	s.settling = true
	s.match()
	for len(s.early) > 0 {
		s.unexpected = append(s.unexpected, s.early[0])
		s.early = s.early[1:]
		s.match()
	}
}

// Excuse forgets up to max arrivals with the digest that were never sent, and
// returns how many.
func (s *Stream) Excuse(digest string, max int) int {
	excused := 0
	s.unexpected = slices.DeleteFunc(s.unexpected, func(item Item) bool {
		if item.Digest != digest || excused == max {
			return false
		}
		excused++
		return true
	})
	return excused
}

// Forgive forgets count of the missing items, the oldest first.
func (s *Stream) Forgive(count int) {
	first := min(count, len(s.overtaken))
	s.overtaken = s.overtaken[first:]
	s.outstanding = s.outstanding[min(count-first, len(s.outstanding)):]
}

// Missing returns the items that were sent and have not arrived.
func (s *Stream) Missing() []Item { return slices.Concat(s.overtaken, s.outstanding) }

// Problems describes what does not balance after Settle. With lost it leaves
// missing items out, because the process that held them was killed.
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

// maxLabels is how many items a problem names; the others are counted.
const maxLabels = 5

func labels(items []Item) string {
	text := ""
	for i, item := range items {
		if i == maxLabels {
			return fmt.Sprintf("%s and %d more", text, len(items)-maxLabels)
		}
		if i > 0 {
			text += ", "
		}
		text += item.Label
	}
	return text
}
