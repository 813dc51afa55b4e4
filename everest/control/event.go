package control

import (
	"encoding/json"
	"time"
)

// Kind of an Event.
type Kind string

const (
	// KindVariable: a variable was published (Interface, Variable, Value).
	KindVariable Kind = "variable"
	// KindRaised and KindCleared: an error was raised or cleared (Error).
	KindRaised  Kind = "raised"
	KindCleared Kind = "cleared"
	// KindState: the module's State or Health has changed (State, Health). The first event of a watch is the state that the
	// module is in; from there on nothing is missed.
	KindState Kind = "state"
	// KindLost: the watcher was too slow for Lost events, which came where this one stands.
	KindLost Kind = "lost"
)

// Event is one thing that happened, as GET /watch tells it: the field event of a server-sent event is its Kind, the field
// data its JSON.
type Event struct {
	Kind Kind      `json:"kind"`
	Time time.Time `json:"time"`
	// ModuleID is that of the module that serves the socket.
	ModuleID string `json:"module_id"`
	// Interface is the implementation of the satellite that published the variable, such as "evse_manager"; an aggregator
	// names the board before it, as in "1_system_2".
	Interface string          `json:"interface,omitempty"`
	Variable  string          `json:"variable,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	// Error is EVerest's error object.
	Error  json.RawMessage `json:"error,omitempty"`
	State  string          `json:"state,omitempty"`
	Health Health          `json:"health,omitempty"`
	Lost   uint64          `json:"lost,omitempty"`
}

func (e *Event) size() int {
	return 256 + len(e.Interface) + len(e.Variable) + len(e.Value) + len(e.Error)
}
