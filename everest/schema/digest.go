package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Digest describes an interface in short: a digest for each member by the member's kind and name, as in "command
// enforce_limits", "variable energy_flow_request" and "error generic/VendorError". The digests of two sets are equal
// where both mean the same: descriptions do not count, nor do the keywords beside a $ref, nor in which order things are
// declared. It is nil for an interface that the set does not hold. Two boards compare their digests to find out whether
// their releases of EVerest differ.
func (d *Definitions) Digest(interfaceName string) map[string]string {
	definition, known := d.Interface(interfaceName)
	if !known {
		return nil
	}
	g := digester{definitions: d, types: map[string]string{}}
	members := make(map[string]string, len(definition.Commands)+len(definition.Variables)+len(definition.ErrorTypes))
	for name, command := range definition.Commands {
		arguments := make(map[string]any, len(command.Arguments))
		for _, argument := range command.Arguments {
			arguments[argument.Name] = g.schema(argument.Schema)
		}
		members["command "+name] = digestOf(map[string]any{"arguments": arguments, "result": g.schema(command.Result)})[:8]
	}
	for name, variable := range definition.Variables {
		members["variable "+name] = g.schema(variable.Schema)[:8]
	}
	for _, errorType := range definition.ErrorTypes {
		members["error "+errorType] = ""
	}
	return members
}

// digestOf is short: it distinguishes releases of one interface, and is no protection against forgery.
func digestOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(err.Error()) // what was decoded from JSON encodes again
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// digester makes the digest of a schema from those of the schemas in it, so that a type has one however often it
// occurs.
type digester struct {
	definitions *Definitions
	// types are the digests of types that do not contain themselves: of those it depends on where one begins.
	types map[string]string
	// within are the types that are being looked at, recursive how often one of them occurred in itself.
	within    []string
	recursive int
}

func (g *digester) schema(raw json.RawMessage) string {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return digestOf(string(raw))
	}
	return g.digest(value)
}

// digest leaves of a schema what a validator looks at.
func (g *digester) digest(schema any) string {
	fields, ok := schema.(map[string]any)
	if !ok {
		return digestOf(schema)
	}
	if reference, ok := fields["$ref"].(string); ok {
		return g.ofType(reference)
	}
	reduced := make(map[string]any, len(fields))
	for keyword, value := range fields {
		switch keyword {
		case "description", "qos", "default", "title", "examples", "$comment":
		case "properties", "patternProperties", "definitions":
			reduced[keyword] = g.each(value)
		case "items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "allOf", "anyOf", "oneOf":
			reduced[keyword] = g.parts(value)
		case "required", "enum":
			reduced[keyword] = sortedTexts(value)
		default:
			reduced[keyword] = value
		}
	}
	return digestOf(reduced)
}

func (g *digester) ofType(reference string) string {
	if known, ok := g.types[reference]; ok {
		return known
	}
	declared, known := g.definitions.Type(reference)
	if inside := slices.Contains(g.within, reference); inside || !known {
		if inside {
			g.recursive++
		}
		return digestOf(map[string]any{"$ref": reference})
	}
	before := g.recursive
	g.within = append(g.within, reference)
	digest := g.schema(declared)
	g.within = g.within[:len(g.within)-1]
	if g.recursive == before {
		g.types[reference] = digest
	}
	return digest
}

// parts digests one schema, or a list of them.
func (g *digester) parts(value any) any {
	list, ok := value.([]any)
	if !ok {
		return g.digest(value)
	}
	parts := make([]string, len(list))
	for i, part := range list {
		parts[i] = g.digest(part)
	}
	return parts
}

// each digests schemas by name: a property may be called like a keyword.
func (g *digester) each(value any) any {
	named, ok := value.(map[string]any)
	if !ok {
		return value
	}
	digests := make(map[string]string, len(named))
	for name, schema := range named {
		digests[name] = g.digest(schema)
	}
	return digests
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
