// Package release adapts the aggregator to the EVerest that is installed. Releases differ in the spelling of a status and
// in the commands of the interface system. A C++ module ends at a word that its release does not have. So the words come
// from the installed definitions. Everything here is pure.
package release

import (
	"encoding/json"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// The enumerations of the interface system whose words differ.
const (
	UpdateFirmwareResponse = "/system#/UpdateFirmwareResponse"
	UploadLogsStatus       = "/system#/UploadLogsStatus"
	LogStatusEnum          = "/system#/LogStatusEnum"
)

const (
	canceled    = "AcceptedCanceled"
	oldCanceled = "AcceptedCancelled" // up to EVerest 2024.7
	// failure stands for the end of an upload that another one replaced, where a log has no status for it: in EVerest up
	// to 2024.7, and in OCPP 1.6.
	failure = "UploadFailure"
)

// Words writes the aggregator's words as the installed EVerest spells them.
type Words struct {
	definitions *schema.Definitions
}

// NewWords returns the words of the definitions.
func NewWords(definitions *schema.Definitions) Words { return Words{definitions} }

// Spell returns a word of an enumeration as the installation spells it.
func (w Words) Spell(enumeration, word string) string {
	if word != canceled {
		return word
	}
	reference, err := json.Marshal(map[string]string{"$ref": enumeration})
	if err != nil {
		return word
	}
	texts := w.definitions.Enumeration(reference)
	switch {
	case len(texts) == 0, slices.Contains(texts, canceled):
		return canceled
	case slices.Contains(texts, oldCanceled):
		return oldCanceled
	case enumeration == LogStatusEnum:
		return failure
	}
	return canceled
}

// Read returns a board's word as the aggregator spells it.
func Read(word string) string {
	if word == oldCanceled {
		return canceled
	}
	return word
}

// ForOCPP16 returns a status of a log as OCPP 1.6 has it. A request that another one replaces has no status of its own
// there, and EVerest's module OCPP ends at it.
func ForOCPP16(logStatus string) string {
	if logStatus == canceled {
		return failure
	}
	return logStatus
}

// Refusal returns the result by which a command is refused, as its definition allows it: NotSupported where it has that,
// else another word that says no. It reports false where the definition has no such result.
func Refusal(definitions *schema.Definitions, command *schema.Command) (json.RawMessage, bool) {
	return refusal(definitions, command.Result, 0)
}

// refusals are the words that say no, the best first.
var refusals = []string{"NotSupported", "NotImplemented", "Rejected", "Failed", "Unknown"}

// maxDepth bounds the nesting of a result's definition.
const maxDepth = 8

func refusal(definitions *schema.Definitions, definition json.RawMessage, depth int) (json.RawMessage, bool) {
	var shape struct {
		Reference  string                     `json:"$ref"`
		Type       string                     `json:"type"`
		Required   []string                   `json:"required"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if depth > maxDepth || json.Unmarshal(definition, &shape) != nil {
		return nil, false
	}
	if texts := definitions.Enumeration(definition); shape.Type != "array" && len(texts) > 0 {
		for _, word := range refusals {
			if slices.Contains(texts, word) {
				return json.RawMessage(`"` + word + `"`), true
			}
		}
		return nil, false
	}
	if shape.Reference != "" {
		referred, known := definitions.Type(shape.Reference)
		if !known {
			return nil, false
		}
		return refusal(definitions, referred, depth+1)
	}
	switch shape.Type {
	case "null":
		return json.RawMessage("null"), true
	case "boolean":
		return json.RawMessage("false"), true
	case "object":
		members := make(map[string]json.RawMessage, len(shape.Required))
		for _, name := range shape.Required {
			member, can := refusal(definitions, shape.Properties[name], depth+1)
			if !can {
				return nil, false
			}
			members[name] = member
		}
		object, err := json.Marshal(members)
		return object, err == nil && len(members) > 0
	}
	return nil, false
}
