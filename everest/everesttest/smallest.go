package everesttest

import (
	"encoding/json"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// smallestSchema is what smallest looks at.
type smallestSchema struct {
	Reference  string                     `json:"$ref"`
	Type       string                     `json:"type"`
	Enum       []json.RawMessage          `json:"enum"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
	Items      json.RawMessage            `json:"items"`
	MinItems   int                        `json:"minItems"`
	Minimum    json.Number                `json:"minimum"`
	MinLength  int                        `json:"minLength"`
	Format     string                     `json:"format"`
}

// smallest makes up a small value for a schema; false where it cannot. It knows what EVerest's definitions use, the value
// must still be checked: a pattern is beyond it.
func smallest(definitions *schema.Definitions, schema json.RawMessage) (json.RawMessage, bool) {
	return smallestWithin(definitions, schema, 32)
}

func smallestWithin(definitions *schema.Definitions, raw json.RawMessage, depth int) (json.RawMessage, bool) {
	var schema smallestSchema
	if depth == 0 || json.Unmarshal(raw, &schema) != nil {
		return nil, false
	}
	if schema.Reference != "" {
		referred, known := definitions.Type(schema.Reference)
		if !known {
			return nil, false
		}
		return smallestWithin(definitions, referred, depth-1)
	}
	if len(schema.Enum) > 0 {
		return schema.Enum[0], true
	}
	switch schema.Type {
	case "null":
		return json.RawMessage("null"), true
	case "boolean":
		return json.RawMessage("false"), true
	case "integer", "number":
		if schema.Minimum != "" {
			return json.RawMessage(schema.Minimum), true
		}
		return json.RawMessage("0"), true
	case "string":
		text := strings.Repeat("x", schema.MinLength)
		switch schema.Format {
		case "date-time":
			text = "1970-01-01T00:00:00.000Z"
		case "uri":
			text = "urn://x"
		}
		return json.RawMessage(`"` + text + `"`), true
	case "array":
		elements := make([]json.RawMessage, schema.MinItems)
		for i := range elements {
			element, ok := smallestWithin(definitions, schema.Items, depth-1)
			if !ok {
				return nil, false
			}
			elements[i] = element
		}
		return marshalled(elements)
	case "object":
		members := map[string]json.RawMessage{}
		for _, name := range schema.Required {
			value, ok := smallestWithin(definitions, schema.Properties[name], depth-1)
			if !ok {
				return nil, false
			}
			members[name] = value
		}
		return marshalled(members)
	}
	return nil, false
}

func marshalled(value any) (json.RawMessage, bool) {
	encoded, err := json.Marshal(value)
	return encoded, err == nil
}
