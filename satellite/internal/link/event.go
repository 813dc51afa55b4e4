package link

import (
	"encoding/json"
	"iter"
)

// Kind is what an Event reports.
type Kind uint8

// The kinds of events.
const (
	// Variable is a variable that was published.
	Variable Kind = iota
	// Raised is an error that was raised.
	Raised
	// Cleared is an error that was cleared.
	Cleared
	// Active is the set of errors that are active: it exists in v2 alone.
	Active
)

// Event is one thing that happened on the satellite.
type Event struct {
	// Number counts the events of one agent process from 1, in the order in which MQTT delivered them. It is 0 where
	// the dialect has no numbers.
	Number uint64
	Kind   Kind
	// NewestOnly marks a variable whose older values are worthless once a newer one is there. It does not cross the
	// link.
	NewestOnly bool
	// Interface is the route's ID and Name the variable's name. Both are empty for errors.
	Interface, Name string
	// Value is the variable's value, EVerest's whole error object, or for Active the array of error objects.
	Value json.RawMessage
}

// Size is what limits count of an event, in bytes.
func (e Event) Size() int { return len(e.Interface) + len(e.Name) + len(e.Value) }

// IsError reports whether one error was raised or cleared.
func (e Event) IsError() bool { return e.Kind == Raised || e.Kind == Cleared }

// Batch is the events of one answer. They stay encoded until they are published, so that an answer costs no more memory
// than its bytes.
type Batch struct {
	// Count and Bytes are the number of events and their Size in total.
	Count, Bytes int
	// Last is the highest number of them, 0 where the dialect has no numbers.
	Last uint64
	// decode calls yield for each event in order until it returns false.
	decode func(yield func(Event) bool)
}

// BatchOf returns a batch of events that are at hand.
func BatchOf(events ...Event) Batch {
	batch := Batch{Count: len(events), decode: func(yield func(Event) bool) {
		for _, event := range events {
			if !yield(event) {
				return
			}
		}
	}}
	for _, event := range events {
		batch.Bytes += event.Size()
		batch.Last = max(batch.Last, event.Number)
	}
	return batch
}

// All returns the events in their order. Their values are parts of the answer.
func (b Batch) All() iter.Seq[Event] {
	if b.decode == nil {
		return func(func(Event) bool) {}
	}
	return b.decode
}
