package occupancy

import (
	"encoding/json"
	"time"
)

// Event is the input of a machine. Only the types in this file are events. Each has the time on the main board.
type Event interface{ event() }

// Linked reports that the satellite's agent is linked. Resumed reports whether it is the process that was linked
// before, whose events continue where they were interrupted.
type Linked struct {
	Resumed bool
	At      time.Time
}

// Lost reports that the EVSE is out of service: the satellite was not back within the resume window, or was absent when
// the main board started.
type Lost struct {
	Reason string
	At     time.Time
}

// Published reports a variable of the satellite that is about to be published on the main board, with the value that
// the main board's modules would see. A machine publishes as it is what is none of session_event, powermeter, ready,
// waiting_for_external_ready, enforced_limits and energy_flow_request.
type Published struct {
	Variable string
	Value    json.RawMessage
	At       time.Time
}

// Told reports that the main board called a command of the EVSE, whether or not the command reached the satellite.
type Told struct {
	Command   string
	Arguments map[string]json.RawMessage
	At        time.Time
}

// Tick reports that the time of the latest [SetDeadline] has come. An early Tick does nothing.
type Tick struct{ At time.Time }

func (Linked) event()    {}
func (Lost) event()      {}
func (Published) event() {}
func (Told) event()      {}
func (Tick) event()      {}

// Action is what a machine asks its shell to do. Only the types in this file are actions.
type Action interface{ action() }

// Publish publishes a variable of the interface evse_manager, or energy's [FlowRequest].
type Publish struct {
	Variable string
	Value    json.RawMessage
}

// Drop keeps a session event from the main board. The shell logs and counts it.
type Drop struct {
	Reason DropReason
	// Kind is the type of the session event and Session its uuid. Both are empty where they cannot be read.
	Kind, Session string
	// Meter is the meter value of the event, nil for none.
	Meter json.RawMessage
}

// DropReason is why a session event is dropped.
type DropReason int

const (
	// Unreadable is a session event without a type or a uuid.
	Unreadable DropReason = iota + 1
	// Foreign is an event of a session or a transaction that the main board does not know.
	Foreign
	// Repeated is a second begin or a second end, or another event after the true end.
	Repeated
	// AfterEstimate is an event of a session whose end was estimated.
	AfterEstimate
	// LateEnd is the true end of a session whose end was estimated. Its meter value is lost for the backend.
	LateEnd
)

func (r DropReason) String() string {
	switch r {
	case Unreadable:
		return "it cannot be read"
	case Foreign:
		return "the main board does not know its session or transaction"
	case Repeated:
		return "the main board knows it already"
	case AfterEstimate:
		return "the end of its session was estimated"
	case LateEnd:
		return "the end of its session was estimated, this is the true one"
	}
	return "unknown"
}

// Estimated reports that the machine made the end of a session. The Publish actions before it are that end.
type Estimated struct {
	Session string
	// Transaction reports whether a transaction was open.
	Transaction bool
	// Meter is the meter value of the end, and Ended its time.
	Meter json.RawMessage
	Ended time.Time
}

// Raise raises evse_manager/Inoperative under the implementation evse_manager. Clear clears it.
type (
	Raise struct{ Message string }
	Clear struct{}
)

// Call calls a command of the EVSE on the satellite. The result goes to nobody.
type Call struct {
	Command   string
	Arguments map[string]json.RawMessage
}

// SetDeadline asks for a [Tick] at a time, in place of the deadline before. The zero time asks for none.
type SetDeadline struct{ At time.Time }

// Keep asks the shell to write the open transaction to disk, in place of the one before. Session is empty where no
// transaction is open.
type Keep struct{ Kept }

func (Publish) action()     {}
func (Drop) action()        {}
func (Estimated) action()   {}
func (Raise) action()       {}
func (Clear) action()       {}
func (Call) action()        {}
func (SetDeadline) action() {}
func (Keep) action()        {}

// Kept is an open transaction as it outlives the main board's process.
type Kept struct {
	Session   string          `json:"session"`
	EVSE      int             `json:"evse"`
	Connector json.RawMessage `json:"connector,omitempty"`
	Tag       json.RawMessage `json:"id_tag,omitempty"`
	Meter     json.RawMessage `json:"meter_value,omitempty"`
	Began     time.Time       `json:"began"`
	Heard     time.Time       `json:"heard"`
}
