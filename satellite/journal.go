package satellite

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
)

// Event is one thing that happened on the satellite: a variable published, an
// error raised or cleared, or, in v2, the set of errors that are active.
type Event struct {
	// Number counts the events of one agent process from 1, in the order in
	// which MQTT delivered them.
	Number uint64
	// Interface is the route's ID and Variable the variable's name; both are
	// empty for an error.
	Interface, Variable string
	Value               json.RawMessage
	// Error is EVerest's whole error object, nil for a variable.
	Error  json.RawMessage
	Raised bool
	// Active is the array of all error objects that are active, nil for
	// everything else.
	Active json.RawMessage
	// NewestOnly says that the event means nothing once a newer one of the same
	// variable is there.
	NewestOnly bool
}

func (e Event) size() int {
	return len(e.Interface) + len(e.Variable) + len(e.Value) + len(e.Error) + len(e.Active)
}

// ErrJournalFull says that the controller has not fetched events for so long
// that the journal's bound is reached.
var ErrJournalFull = errors.New("satellite: journal is full")

// Limits of a journal. Zero means the default.
type Limits struct {
	// Events is the number of events kept, 1000 by default as in the C++ agent:
	// at the 40 variables per second of a charging AC port that is half a
	// minute without a controller.
	Events int
	// Bytes is the sum of the values' sizes, 16 MiB by default.
	Bytes int
	// V2Events replaces Events towards a controller that speaks v2, 20 000 by
	// default: more than comes within the resume window.
	V2Events int
}

func (l Limits) withDefaults() Limits {
	if l.Events == 0 {
		l.Events = 1000
	}
	if l.Bytes == 0 {
		l.Bytes = 16 << 20
	}
	if l.V2Events == 0 {
		l.V2Events = max(20_000, l.Events)
	}
	return l
}

// Journal keeps the satellite's events, oldest first: towards a legacy
// controller until they are taken, towards one that speaks v2 until it has
// acknowledged them. It is a pure value: no lock, no clock. The zero value is
// not usable.
type Journal struct {
	limits Limits
	// events[:head] are gone; their place is reclaimed now and then.
	events []Event
	head   int
	bytes  int
	next   uint64
}

// NewJournal returns an empty journal.
func NewJournal(limits Limits) *Journal {
	return &Journal{limits: limits.withDefaults(), next: 1}
}

// SpeaksV2 says that the controller acknowledges, and that V2Events bounds the
// journal from here on.
func (j *Journal) SpeaksV2() { j.limits.Events = j.limits.V2Events }

// Append numbers the event and keeps it. It returns an error that is
// ErrJournalFull, and keeps nothing, when a limit would be exceeded.
func (j *Journal) Append(event Event) error {
	if j.Len()+1 > j.limits.Events {
		return fmt.Errorf("%w: %d events wait for the controller", ErrJournalFull, j.Len())
	}
	if j.bytes+event.size() > j.limits.Bytes {
		return fmt.Errorf("%w: %d bytes wait for the controller", ErrJournalFull, j.bytes)
	}
	event.Number = j.next
	j.next++
	j.events = append(j.events, event)
	j.bytes += event.size()
	return nil
}

// Take removes and returns the oldest events that one legacy answer can carry
// without changing their order: variables, then errors, up to the first variable
// after an error, for the answer's two lists are read variables first. It stops
// before most bytes are exceeded, but always takes one event.
func (j *Journal) Take(most int) []Event {
	count, size, errorSeen := 0, 0, false
	for _, event := range j.waiting() {
		isError := event.Error != nil
		if count > 0 && (size+event.size() > most || errorSeen && !isError) {
			break
		}
		errorSeen = errorSeen || isError
		size += event.size()
		count++
	}
	taken := append([]Event(nil), j.waiting()[:count]...)
	j.remove(count)
	return taken
}

// After returns the events above a number, oldest first, and keeps them. It stops
// before most bytes are exceeded, but returns at least one event if there is any.
// The slice is the journal's own and valid until the next call of any method.
func (j *Journal) After(number uint64, most int) []Event {
	waiting := j.waiting()
	first := sort.Search(len(waiting), func(i int) bool { return waiting[i].Number > number })
	end, size := first, 0
	for ; end < len(waiting); end++ {
		size += waiting[end].size()
		if end > first && size > most {
			break
		}
	}
	return waiting[first:end]
}

// Acknowledge forgets the events up to a number.
func (j *Journal) Acknowledge(number uint64) {
	waiting := j.waiting()
	j.remove(sort.Search(len(waiting), func(i int) bool { return waiting[i].Number > number }))
}

// Merge gives up the oldest events of which only the newest of their variable
// matters and for which a newer one waits, until a sixteenth of the journal is
// free or no such event is left. It returns how many it gave up.
func (j *Journal) Merge() int {
	type variable struct{ route, name string }
	waiting := j.waiting()
	newest := make(map[variable]uint64)
	for _, event := range waiting {
		if event.NewestOnly {
			newest[variable{event.Interface, event.Variable}] = event.Number
		}
	}
	enough := func(kept int) bool {
		return kept <= j.limits.Events-1-j.limits.Events/16 && j.bytes <= j.limits.Bytes-j.limits.Bytes/16
	}
	kept, count := waiting[:0], len(waiting)
	for i, event := range waiting {
		if enough(count) {
			kept = append(kept, waiting[i:]...)
			break
		}
		if event.NewestOnly && newest[variable{event.Interface, event.Variable}] != event.Number {
			j.bytes -= event.size()
			count--
			continue
		}
		kept = append(kept, event)
	}
	givenUp := len(waiting) - len(kept)
	clear(waiting[len(kept):])
	j.events = j.events[:j.head+len(kept)]
	return givenUp
}

// GiveUpOldest removes the oldest event; of an empty journal nothing.
func (j *Journal) GiveUpOldest() {
	if j.Len() > 0 {
		j.remove(1)
	}
}

// Clear gives up all events and returns how many they were.
func (j *Journal) Clear() int {
	count := j.Len()
	j.remove(count)
	return count
}

func (j *Journal) waiting() []Event { return j.events[j.head:] }

func (j *Journal) remove(count int) {
	for _, event := range j.waiting()[:count] {
		j.bytes -= event.size()
	}
	// What was handed out must not be kept alive by the array.
	clear(j.waiting()[:count])
	j.head += count
	if j.head == len(j.events) || j.head > 1024 && j.head > len(j.events)/2 {
		kept := copy(j.events, j.waiting())
		clear(j.events[kept:])
		j.events, j.head = j.events[:kept], 0
	}
}

// Len returns how many events wait.
func (j *Journal) Len() int { return len(j.events) - j.head }

// Bytes returns the size of the waiting values.
func (j *Journal) Bytes() int { return j.bytes }

// Appended returns how many events were ever kept.
func (j *Journal) Appended() uint64 { return j.next - 1 }
