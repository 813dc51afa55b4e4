package everest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Digest describes an interface in short: a digest for each member by the member's kind and name, as in "command
// enforce_limits", "variable energy_flow_request" and "error generic/VendorError". The digests of two sets are equal where
// both mean the same: descriptions do not count, nor do the keywords beside a $ref, nor in which order things are declared.
// It is nil for an interface that the set does not hold. Two boards compare their digests to find out whether their
// releases of EVerest differ.
func (d *Definitions) Digest(interfaceName string) map[string]string {
	definition, known := d.Interface(interfaceName)
	if !known {
		return nil
	}
	members := make(map[string]string, len(definition.Commands)+len(definition.Variables)+len(definition.ErrorTypes))
	for name, command := range definition.Commands {
		arguments := make(map[string]any, len(command.Arguments))
		for _, argument := range command.Arguments {
			arguments[argument.Name] = d.meaning(argument.Schema, nil)
		}
		members["command "+name] = digestOf(map[string]any{"arguments": arguments, "result": d.meaning(command.Result, nil)})
	}
	for name, variable := range definition.Variables {
		members["variable "+name] = digestOf(d.meaning(variable.Schema, nil))
	}
	for _, errorType := range definition.ErrorTypes {
		members["error "+errorType] = ""
	}
	return members
}

// digestOf is short: it tells apart releases of one interface, not forgeries.
func digestOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(err.Error()) // what was decoded from JSON encodes again
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

func (d *Definitions) meaning(schema json.RawMessage, within []string) any {
	var value any
	if err := json.Unmarshal(schema, &value); err != nil {
		return string(schema)
	}
	return d.reduce(value, within)
}

// reduce leaves of a schema what a validator looks at. within are the types that it is a part of.
func (d *Definitions) reduce(schema any, within []string) any {
	fields, ok := schema.(map[string]any)
	if !ok {
		return schema
	}
	if reference, ok := fields["$ref"].(string); ok {
		declared, known := d.Type(reference)
		if !known || slices.Contains(within, reference) {
			return map[string]any{"$ref": reference}
		}
		return d.meaning(declared, append(slices.Clip(within), reference))
	}
	reduced := make(map[string]any, len(fields))
	for keyword, value := range fields {
		switch keyword {
		case "description", "qos", "default", "title", "examples", "$comment":
		case "properties", "patternProperties", "definitions":
			reduced[keyword] = d.reduceEach(value, within)
		case "items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "allOf", "anyOf", "oneOf":
			if list, ok := value.([]any); ok {
				parts := make([]any, len(list))
				for i, part := range list {
					parts[i] = d.reduce(part, within)
				}
				value = parts
			}
			reduced[keyword] = d.reduce(value, within)
		case "required", "enum":
			reduced[keyword] = sortedTexts(value)
		default:
			reduced[keyword] = value
		}
	}
	return reduced
}

// reduceEach reduces schemas by name: a property may be called like a keyword.
func (d *Definitions) reduceEach(value any, within []string) any {
	named, ok := value.(map[string]any)
	if !ok {
		return value
	}
	reduced := make(map[string]any, len(named))
	for name, schema := range named {
		reduced[name] = d.reduce(schema, within)
	}
	return reduced
}

// sortedTexts sorts a list of texts, whose order means nothing to a validator.
func sortedTexts(value any) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	texts := make([]string, len(list))
	for i, element := range list {
		if texts[i], ok = element.(string); !ok {
			return value
		}
	}
	slices.Sort(texts)
	return texts
}
