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
	// Active is the set of active errors. Only v2 has it.
	Active
	// Unknown is an event of a kind that this release does not know. It has a number, so that it can be acknowledged, and
	// nothing else.
	Unknown
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
	// GivenUpLast marks a variable that a full journal evicts only where nothing else is left. It does not cross the
	// link.
	GivenUpLast bool
	// Ends is the uuid of the session whose transaction the event ends, empty for all other events. Such an event
	// outlives the process until the controller has it. It does not cross the link.
	Ends string
	// Interface is the route's ID and Name the variable's name. Both are empty for errors.
	Interface, Name string
	// Value is the variable's value, EVerest's whole error object, or for Active the array of error objects.
	Value json.RawMessage
}

// size returns the bytes of an event that Limits.Bytes counts.
func (e Event) size() int { return len(e.Interface) + len(e.Name) + len(e.Value) }

// isError reports whether the event is one error that was raised or cleared.
func (e Event) isError() bool { return e.Kind == Raised || e.Kind == Cleared }

// eventBatch holds the events of one answer. They stay encoded until they are published, so that an answer costs no
// more memory than its bytes.
type eventBatch struct {
	// count is the number of events. bytes is the sum of their sizes. kept is how many bytes of the answer the events keep,
	// which a peer decides.
	count, bytes, kept int
	// last is the highest number of an event, 0 where the dialect has no numbers.
	last uint64
	// all yields the events in order. Their values are slices of the answer. all is nil in the zero value, which has no
	// events.
	all iter.Seq[Event]
}
