package satellite

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Event is one thing that happened on the satellite: a variable published, or an
// error raised or cleared.
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
}

func (e Event) size() int { return len(e.Interface) + len(e.Variable) + len(e.Value) + len(e.Error) }

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
}

func (l Limits) withDefaults() Limits {
	if l.Events == 0 {
		l.Events = 1000
	}
	if l.Bytes == 0 {
		l.Bytes = 16 << 20
	}
	return l
}

// Journal keeps the satellite's events, oldest first, until the controller takes
// them. It is a pure value: no lock, no clock. The zero value is not usable.
type Journal struct {
	limits Limits
	events []Event
	bytes  int
	next   uint64
}

// NewJournal returns an empty journal.
func NewJournal(limits Limits) *Journal {
	return &Journal{limits: limits.withDefaults(), next: 1}
}

// Append numbers the event and keeps it. It returns an error that is
// ErrJournalFull, and keeps nothing, when a limit would be exceeded.
func (j *Journal) Append(event Event) error {
	if len(j.events)+1 > j.limits.Events {
		return fmt.Errorf("%w: %d events wait for the controller", ErrJournalFull, len(j.events))
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

// Take removes and returns the oldest events that one answer can carry without
// changing their order: variables, then errors, up to the first variable after
// an error, for the answer's two lists are read variables first. It stops before
// most bytes are exceeded, but always takes one event.
func (j *Journal) Take(most int) []Event {
	count, size, errorSeen := 0, 0, false
	for _, event := range j.events {
		isError := event.Error != nil
		if count > 0 && (size+event.size() > most || errorSeen && !isError) {
			break
		}
		errorSeen = errorSeen || isError
		size += event.size()
		count++
	}
	taken := append([]Event(nil), j.events[:count]...)
	j.remove(count, size)
	return taken
}

// GiveUpOldest removes the oldest event; of an empty journal nothing.
func (j *Journal) GiveUpOldest() {
	if len(j.events) > 0 {
		j.remove(1, j.events[0].size())
	}
}

// Clear gives up all events and returns how many they were.
func (j *Journal) Clear() int {
	count := len(j.events)
	j.remove(count, j.bytes)
	return count
}

func (j *Journal) remove(count, size int) {
	// Clearing what was handed out lets its values go while the array stays.
	kept := copy(j.events, j.events[count:])
	clear(j.events[kept:])
	j.events = j.events[:kept]
	j.bytes -= size
}

// Len returns how many events wait.
func (j *Journal) Len() int { return len(j.events) }

// Bytes returns the size of the waiting values.
func (j *Journal) Bytes() int { return j.bytes }

// Appended returns how many events were ever kept.
func (j *Journal) Appended() uint64 { return j.next - 1 }
