package schema

import (
	"encoding/json"
	"maps"
	"slices"
)

// refusals are the texts of enumerations that refuse, the mildest first.
var refusals = []string{
	"Rejected", "Declined", "Refused", "NotAccepted", "NotSupported", "Unsupported", "NotImplemented", "NotAvailable", "Unavailable", "NoHlc",
	"Invalid", "Failed", "Failure", "Error", "InternalError", "UnknownMessageId", "UnknownVendorId", "Unknown", "None",
}

// Refusal returns the mildest result of a command that says no: false, a text such as "Rejected", an object with such a
// text, or null for a command without a result. It is for releases of EVerest in which a reply cannot carry an error. ok
// is false for a result that cannot refuse, such as a number, and for a command that is not known.
func (d *Definitions) Refusal(interfaceName, command string) (result json.RawMessage, ok bool) {
	definition, known := d.Interface(interfaceName)
	if !known || definition.Commands[command] == nil {
		return nil, false
	}
	var schema any
	if json.Unmarshal(definition.Commands[command].Result, &schema) != nil {
		return nil, false
	}
	value, ok := d.refusal(schema, 0)
	if !ok {
		return nil, false
	}
	encoded, err := json.Marshal(value)
	if err != nil || d.CheckResult(interfaceName, command, encoded) != nil {
		return nil, false
	}
	return encoded, true
}

// refusal returns a value of a schema that refuses. In an object at least one member must refuse, and the others that are
// required must have a value that says nothing.
func (d *Definitions) refusal(schema any, depth int) (value any, ok bool) {
	resolved := d.resolve(schema)
	if texts := enumTexts(resolved); texts != nil {
		for _, text := range refusals {
			if slices.Contains(texts, text) {
				return text, true
			}
		}
		return nil, false
	}
	switch resolved["type"] {
	case "null":
		return nil, true
	case "boolean":
		return false, true
	case "object":
		return d.refusingObject(resolved, depth)
	}
	return nil, false
}

func (d *Definitions) refusingObject(schema map[string]any, depth int) (value any, ok bool) {
	const deepest = 8 // a type may contain itself
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	if depth >= deepest {
		return nil, false
	}
	object := map[string]any{}
	refuses := false
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(required, any(name)) {
			continue
		}
		member, refusing := d.refusal(properties[name], depth+1)
		if refusing {
			refuses = true
		} else if member, ok = emptyOf(d.resolve(properties[name])); !ok {
			return nil, false
		}
		object[name] = member
	}
	return object, refuses
}

// emptyOf returns the empty text or list.
func emptyOf(schema map[string]any) (value any, ok bool) {
	switch schema["type"] {
	case "string":
		return "", schema["enum"] == nil
	case "array":
		return []any{}, true
	}
	return nil, false
}
