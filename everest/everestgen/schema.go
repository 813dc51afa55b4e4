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
