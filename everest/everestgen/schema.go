package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// parsedSchema is the part of a JSON schema that decides on Go types and their comments.
type parsedSchema struct {
	Description string            `json:"description"`
	Reference   string            `json:"$ref"`
	Type        json.RawMessage   `json:"type"`
	Enum        []json.RawMessage `json:"enum"`
	Format      string            `json:"format"`
	Required    []string          `json:"required"`
	Items       json.RawMessage   `json:"items"`
	Additional  json.RawMessage   `json:"additionalProperties"`
	Properties  json.RawMessage   `json:"properties"`

	constraints []string
}

// constraintKeywords are the keywords whose values are written into comments.
var constraintKeywords = []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "format", "minItems", "maxItems"}

func parseSchema(raw json.RawMessage) (parsedSchema, error) {
	var parsed parsedSchema
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return parsedSchema{}, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return parsedSchema{}, err
	}
	// JSON schema draft 7 ignores the keywords beside a $ref.
	if parsed.Reference != "" {
		return parsedSchema{Description: parsed.Description, Reference: parsed.Reference}, nil
	}
	for _, keyword := range constraintKeywords {
		if value, ok := members[keyword]; ok {
			parsed.constraints = append(parsed.constraints, keyword+" "+string(value))
		}
	}
	return parsed, nil
}

// typeName returns the type of the schema. It is empty where the schema has none or several.
func (s parsedSchema) typeName() string {
	var name string
	// Several types are an array: decoding fails and leaves the name empty.
	_ = json.Unmarshal(s.Type, &name)
	return name
}

// enumValues returns the values of an enumeration of texts, and false for any other schema.
func (s parsedSchema) enumValues() ([]string, bool) {
	var values []string
	for _, raw := range s.Enum {
		var value string
		if json.Unmarshal(raw, &value) != nil {
			return nil, false
		}
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return values, len(values) > 0
}

func (s parsedSchema) requires(property string) bool {
	return slices.Contains(s.Required, property)
}

type property struct {
	name   string
	schema json.RawMessage
}

// properties returns the properties in the order in which they are declared.
func (s parsedSchema) properties() ([]property, error) {
	if len(s.Properties) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(s.Properties))
	if opening, err := decoder.Token(); err != nil || opening != json.Delim('{') {
		return nil, fmt.Errorf("properties are not an object")
	}
	var declared []property
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if name == "" || strings.ContainsAny(name, "\"`,\\") {
			return nil, fmt.Errorf("property %q cannot be named in a struct tag", name)
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, err
		}
		declared = append(declared, property{name, raw})
	}
	return declared, nil
}

// laterRequired are the properties that EVerest has begun to require after 2024.3, by the type and then the property, each
// with the first release that requires it. A module hears values without them from a board of an older release. The list is
// that of the definitions of all releases up to 2026.02.0 and of main in May 2026.
var laterRequired = map[string]map[string]string{
	"/authorization#/ValidationResult": {"tariff_messages": "2025.5.0"},
	"/energy#/EnergyFlowRequest": {
		"schedule_import": "2025.3.0", "schedule_export": "2025.3.0", "schedule_setpoints": "2025.3.0",
	},
	"/energy#/EnforcedLimits": {"limits_root_side": "2025.3.0", "schedule": "2025.3.0", "valid_for": "2025.8.0"},
	"/energy#/ExternalLimits": {
		"schedule_import": "2025.3.0", "schedule_export": "2025.3.0", "schedule_setpoints": "2025.3.0",
	},
	"/energy_price_information#/EnergyPriceSchedule": {"schedule_import": "2025.3.0", "schedule_export": "2025.3.0"},
	"/evse_board_support#/HardwareCapabilities":      {"supports_cp_state_E": "2026.02.0"},
	"/evse_manager#/SessionEvent":                    {"timestamp": "2024.4.0"},
	"/evse_manager#/SessionStarted":                  {"meter_value": "2024.4.0"},
	"/evse_manager#/SessionFinished":                 {"meter_value": "2024.4.0"},
	"/iso15118_vas#/OfferedServices":                 {"services": "2025.12.0"},
	"/ocpp#/ChargingSchedule":                        {"evse": "2024.9.0"},
	"/powermeter#/TransactionReq": {
		"identification_flags": "2024.5.0", "identification_status": "2024.5.0", "identification_type": "2024.5.0",
	},
	"/session_cost#/SessionCost": {"session_id": "2024.8.0"},
}
