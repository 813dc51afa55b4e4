package everest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// Severity is how severe an error is.
type Severity string

// The severities that EVerest knows.
const (
	SeverityLow    Severity = "Low"
	SeverityMedium Severity = "Medium"
	SeverityHigh   Severity = "High"
)

// State is whether an error is active, or how it was cleared.
type State string

// The states that EVerest knows.
const (
	StateActive          State = "Active"
	StateClearedByModule State = "ClearedByModule"
	StateClearedByReboot State = "ClearedByReboot"
)

// Error is an EVerest error object. Its JSON form always has all ten keys, because EVerest's C++ readers require them.
type Error struct {
	// Type is "namespace/Name", for example "evse_manager/MREC4OverCurrentFailure".
	Type string
	// SubType distinguishes errors of one type. It may be empty.
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

// ErrorID identifies an error. EVerest treats two errors with equal IDs as the same error.
type ErrorID struct{ Type, SubType, ModuleID, ImplementationID string }

// ID returns the identity of the error.
func (e Error) ID() ErrorID {
	return ErrorID{e.Type, e.SubType, e.Origin.ModuleID, e.Origin.ImplementationID}
}

// Origin names the implementation in which an error arose.
type Origin struct {
	ModuleID         string   `json:"module_id"`
	ImplementationID string   `json:"implementation_id"`
	Mapping          *Mapping `json:"mapping,omitempty"`
}

// Mapping names a part of the charging station: an EVSE, or one of its connectors. A nil *Mapping means the whole
// station.
type Mapping struct {
	EVSE int `json:"evse"`
	// Connector is nil when the mapping means the whole EVSE.
	Connector *int `json:"connector,omitempty"`
}

// ErrorEvent reports to a subscriber that an error was raised or cleared.
type ErrorEvent struct {
	Error Error
	// Raw is the error object with the bytes that were received.
	Raw json.RawMessage
	// Raised is false for a cleared error.
	Raised bool
}

// ErrorHandler handles the errors that are raised and cleared, one after the other.
type ErrorHandler func(ctx context.Context, event ErrorEvent)

// wireError is the error object; encoding/json writes the keys in this, alphabetical, order.
type wireError struct {
	Description string   `json:"description"`
	Message     string   `json:"message"`
	Origin      Origin   `json:"origin"`
	Severity    Severity `json:"severity"`
	State       State    `json:"state"`
	SubType     string   `json:"sub_type"`
	Timestamp   string   `json:"timestamp"`
	Type        string   `json:"type"`
	UUID        string   `json:"uuid"`
	VendorID    string   `json:"vendor_id"`
}

const timestampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes all ten keys.
func (e Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireError{
		Description: e.Description, Message: e.Message, Origin: e.Origin, Severity: e.Severity, State: e.State,
		SubType: e.SubType, Timestamp: e.Timestamp.UTC().Format(timestampLayout), Type: e.Type, UUID: e.UUID, VendorID: e.VendorID,
	})
}

// UnmarshalJSON reads an error object as EVerest does. An unknown severity becomes High, an unknown state Active. A
// missing severity or state stays empty.
func (e *Error) UnmarshalJSON(text []byte) error {
	var wire wireError
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	switch wire.Severity {
	case SeverityLow, SeverityMedium, SeverityHigh, "":
	default:
		wire.Severity = SeverityHigh
	}
	switch wire.State {
	case StateActive, StateClearedByModule, StateClearedByReboot, "":
	default:
		wire.State = StateActive
	}
	*e = Error{
		Type: wire.Type, SubType: wire.SubType, Message: wire.Message, Description: wire.Description, Origin: wire.Origin,
		Severity: wire.Severity, Timestamp: readTimestamp(wire.Timestamp), UUID: wire.UUID, State: wire.State, VendorID: wire.VendorID,
	}
	return nil
}

// readTimestamp returns the zero time for an unreadable text. A text without a time zone is read as UTC.
func readTimestamp(text string) time.Time {
	if parsed, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return parsed.UTC()
	}
	const seconds = "2006-01-02T15:04:05"
	if len(text) < len(seconds) {
		return time.Time{}
	}
	end := len(seconds)
	if end < len(text) && text[end] == '.' {
		for end++; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
		}
	}
	parsed, err := time.Parse(seconds, strings.TrimSuffix(text[:end], "."))
	if err != nil {
		return time.Time{}
	}
	return parsed
}

// readErrorEvent reads a message that raises or clears an error. The state decides which of the two it is, as in EVerest.
func (m *Module) readErrorEvent(message Message) (ErrorEvent, error) {
	data, raise, err := m.wire.ReadError(message.Topic, message.Payload)
	if err != nil {
		return ErrorEvent{}, err
	}
	event := ErrorEvent{Raw: data}
	if err := json.Unmarshal(data, &event.Error); err != nil {
		return ErrorEvent{}, fmt.Errorf("error object: %w", err)
	}
	if !wire.ValidErrorType(event.Error.Type) {
		return ErrorEvent{}, fmt.Errorf("error object of type %.40q", event.Error.Type)
	}
	if event.Error.State == "" {
		event.Error.State = StateActive
		if !raise {
			event.Error.State = StateClearedByModule
		}
	}
	event.Raised = event.Error.State == StateActive
	return event, nil
}
