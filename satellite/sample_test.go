package satellite_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// sampler makes values that fit EVerest's schemas: required members only, the
// first of an enumeration, and texts that would show an escape.
type sampler struct {
	t           testing.TB
	definitions *schema.Definitions
}

type sampleSchema struct {
	Ref        string                     `json:"$ref"`
	Type       json.RawMessage            `json:"type"`
	Enum       []json.RawMessage          `json:"enum"`
	Format     string                     `json:"format"`
	Minimum    *float64                   `json:"minimum"`
	MinLength  int                        `json:"minLength"`
	MaxLength  int                        `json:"maxLength"`
	Items      json.RawMessage            `json:"items"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

func (s sampler) value(raw json.RawMessage) string { return s.inside(raw, nil) }

// inside stops where a type contains itself, as an energy node contains its
// children: that list is empty.
func (s sampler) inside(raw json.RawMessage, types []string) string {
	var of sampleSchema
	if err := json.Unmarshal(raw, &of); err != nil {
		s.t.Fatalf("schema %s: %v", raw, err)
	}
	if of.Ref != "" {
		referenced, known := s.definitions.Type(of.Ref)
		if !known {
			s.t.Fatalf("type %s is unknown", of.Ref)
		}
		return s.inside(referenced, append(slices.Clip(types), of.Ref))
	}
	if len(of.Enum) > 0 {
		return string(of.Enum[0])
	}
	switch kind := strings.Trim(string(of.Type), `"`); kind {
	case "null":
		return "null"
	case "boolean":
		return "true"
	case "integer", "number":
		minimum := 1.0
		if of.Minimum != nil {
			minimum = max(minimum, *of.Minimum)
		}
		if kind == "number" {
			return fmt.Sprintf("%.1f", minimum)
		}
		return fmt.Sprintf("%.0f", minimum)
	case "string":
		if of.Format == "date-time" {
			return `"2026-11-22T10:43:28.006Z"`
		}
		text := "<ü>" + strings.Repeat("x", max(0, of.MinLength-3))
		if of.MaxLength > 0 && of.MaxLength < len(text) {
			text = text[len(text)-of.MaxLength:]
		}
		return `"` + text + `"`
	case "array":
		var items sampleSchema
		if err := json.Unmarshal(of.Items, &items); err == nil && slices.Contains(types, items.Ref) {
			return "[]"
		}
		return "[" + s.inside(of.Items, types) + "]"
	case "object":
		slices.Sort(of.Required)
		var members []string
		for _, name := range of.Required {
			members = append(members, fmt.Sprintf("%q:%s", name, s.inside(of.Properties[name], types)))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	s.t.Fatalf("no sample for schema %s", raw)
	return ""
}

func (s sampler) arguments(command *schema.Command) everest.Args {
	arguments := everest.Args{}
	for _, argument := range command.Arguments {
		arguments[argument.Name] = json.RawMessage(s.value(argument.Schema))
	}
	return arguments
}
