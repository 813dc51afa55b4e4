package link

import "encoding/json"

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
	// Number counts the events of one agent process from 1, in the order in
	// which MQTT delivered them. It is 0 where the dialect has no numbers.
	Number uint64
	Kind   Kind
	// NewestOnly marks a variable whose older values are worthless once a newer
	// one is there. It does not cross the link.
	NewestOnly bool
	// Interface is the route's ID and Name the variable's name. Both are empty
	// for errors.
	Interface, Name string
	// Value is the variable's value, EVerest's whole error object, or for Active
	// the array of error objects.
	Value json.RawMessage
}

// Size is what limits count of an event, in bytes.
func (e Event) Size() int { return len(e.Interface) + len(e.Name) + len(e.Value) }

// IsError reports whether one error was raised or cleared.
func (e Event) IsError() bool { return e.Kind == Raised || e.Kind == Cleared }
