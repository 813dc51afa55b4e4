package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Digest returns a digest for each member of an interface. Its keys are "command enforce_limits", "variable
// energy_flow_request" or "error generic/VendorError", for example. Two boards compare their digests to find out
// whether their releases of EVerest differ.
//
// Definitions with equal meaning have equal digests. Descriptions, keywords beside a $ref and the order of declarations
// make no difference. The result is nil for an interface that is not in the set.
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

// digestOf returns a short digest. It distinguishes releases of one interface and does not protect against forgery.
func digestOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		text = []byte(err.Error()) // cannot happen: a value decoded from JSON can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// digester makes the digest of a schema from the digests of the schemas in it. It computes the digest of a type only
// once, however many schemas refer to the type.
type digester struct {
	definitions *Definitions
	// types holds the digests of types that do not contain themselves. The digest of a recursive type depends on the
	// type at which the digester started.
	types map[string]string
	// within lists the types whose schemas enclose the current one. recursive counts the references back to one of
	// them.
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

// digest reduces a schema to the keywords that a validator uses.
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

// each digests the schemas of an object by name, because a property may have the name of a keyword.
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
