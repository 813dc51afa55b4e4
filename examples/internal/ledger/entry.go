package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Entry is one message, error or command as one board saw it.
type Entry struct {
	Kind Kind  `json:"kind"`
	At   int64 `json:"at"` // Unix time in nanoseconds
	// Satellite is the number of the satellite that the entry is about, from 1.
	Satellite int `json:"satellite,omitempty"`
	// Name is a command, or an error's identity.
	Name string `json:"name,omitempty"`
	// Label is what a reader is shown.
	Label string `json:"label,omitempty"`
	// Digest identifies the value, so that the boards need not send it.
	Digest string `json:"digest,omitempty"`
	// Answer is the digest of a command's answer.
	Answer string `json:"answer,omitempty"`
	// Call numbers the calls of one command by one caller.
	Call uint64 `json:"call,omitempty"`
	// Failure is the error of a call without an answer.
	Failure string `json:"failure,omitempty"`
	// Raised distinguishes an error's raise from its clear.
	Raised bool `json:"raised,omitempty"`
}

// Kind is what happened to the entry's subject, and on which board.
type Kind string

// What boards record.
const (
	Published    Kind = "published"     // a satellite's charge port publishes a variable
	Arrived      Kind = "arrived"       // the main board has received it
	Pushed       Kind = "pushed"        // the main board publishes a variable for the satellites
	PushArrived  Kind = "push-arrived"  // a satellite has received it
	Error        Kind = "error"         // a satellite's module raises or clears
	ErrorArrived Kind = "error-arrived" // the main board has seen it
	ErrorUnknown Kind = "error-unknown" // one whose type the main board cannot know
	Called       Kind = "called"        // the main board calls a command
	Served       Kind = "served"        // the satellite's charge port answers it
	Answered     Kind = "answered"      // the main board has the answer, or none
)

// Variable returns the entry of a variable with its value.
func Variable(kind Kind, satellite int, variable string, value json.RawMessage) Entry {
	return Entry{Kind: kind, Satellite: satellite, Label: label(variable, value), Digest: Digest(value)}
}

// ErrorEvent returns the entry of an error's raise or clear. Its name is the error's identity, so that the raises and
// clears of each error are compared in order.
func ErrorEvent(kind Kind, satellite int, e everest.Error, raised bool) Entry {
	origin := e.Origin.ModuleID + "/" + e.Origin.ImplementationID
	if e.Origin.Mapping != nil {
		origin += fmt.Sprintf(" of EVSE %d", e.Origin.Mapping.EVSE)
	}
	action := "cleared"
	if raised {
		action = "raised"
	}
	return Entry{
		Kind: kind, Satellite: satellite, Raised: raised, Digest: e.UUID, Label: action,
		Name: fmt.Sprintf("%s, sub type %q, from %s", e.Type, e.SubType, origin),
	}
}

// Digest identifies a JSON value: two values have one digest if they differ in
// white space only. Number forms and the order of keys count, because the link
// promises to leave them alone.
func Digest(value json.RawMessage) string {
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		compact.Reset()
		fmt.Fprintf(&compact, "no JSON: %s", value)
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:8])
}

// DigestArguments identifies the arguments of a command. Their order does not
// count, because EVerest does not keep it. Nor does valid_for of limits, which the
// link counts down while it is away.
func DigestArguments(arguments map[string]json.RawMessage) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		value, err := rawjson.Complete(arguments[name], nil, func(member rawjson.Member) json.RawMessage {
			if member.Name == "valid_for" {
				return json.RawMessage("0")
			}
			return nil
		})
		if err != nil {
			value = arguments[name] // no object
		}
		all = append(all, name+"="+Digest(value))
	}
	return strings.Join(all, " ")
}

// label is the variable's name, and the event or status where its value has one.
func label(variable string, value json.RawMessage) string {
	var fields struct {
		Event  string `json:"event"`
		Status string `json:"status"`
	}
	// Values that are no object have no such field.
	_ = json.Unmarshal(value, &fields)
	switch {
	case fields.Event != "":
		return variable + " " + fields.Event
	case fields.Status != "":
		return variable + " " + fields.Status
	}
	return variable
}
