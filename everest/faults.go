package everest

import (
	"context"
	"encoding/json"
	"time"
)

// Severity of an error.
type Severity string

// The severities that EVerest knows.
const (
	SeverityLow    Severity = "Low"
	SeverityMedium Severity = "Medium"
	SeverityHigh   Severity = "High"
)

// State of an error.
type State string

// The states that EVerest knows.
const (
	StateActive          State = "Active"
	StateClearedByModule State = "ClearedByModule"
	StateClearedByReboot State = "ClearedByReboot"
)

// Error is an EVerest error object. All ten keys are always written, for C++ readers need all of them.
type Error struct {
	// Type is "namespace/Name", for example "evse_manager/MREC4OverCurrentFailure".
	Type string
	// SubType tells errors of one type apart; may be empty.
	SubType     string
	Message     string
	Description string
	Origin      Origin
	Severity    Severity
	// Timestamp is written in UTC with milliseconds.
	Timestamp time.Time
	UUID      string
	State     State
	VendorID  string
}

// Origin is where an error arose.
type Origin struct {
	ModuleID         string   `json:"module_id"`
	ImplementationID string   `json:"implementation_id"`
	Mapping          *Mapping `json:"mapping,omitempty"`
}

// Mapping says which part of the charging station something belongs to. A nil *Mapping is the whole station.
type Mapping struct {
	EVSE int `json:"evse"`
	// Connector is nil for the whole EVSE.
	Connector *int `json:"connector,omitempty"`
}

// ErrorEvent is a raised or cleared error as a subscriber sees it.
type ErrorEvent struct {
	Error Error
	// Raw is the error object as it stood in the message.
	Raw json.RawMessage
	// Raised is false for a cleared error.
	Raised bool
}

// ErrorHandler takes raised and cleared errors of a subscription, one after the other.
type ErrorHandler func(ctx context.Context, event ErrorEvent)
