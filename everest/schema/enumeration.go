package schema

import (
	"encoding/json"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/message"
)

// EVerest writes an enumeration as its text, with one exception. Inside an object, its generated C++ code writes the
// elements of a list as integers: the index in the declaration of the enumeration. C++ consumers take nothing else
// there. A list that is the whole value of a variable or an argument holds texts, one that is a result holds indices. This
// file is the one place that knows the rule. (A result counts as a member of an object here.)
//
// A schema is therefore compiled in two contexts. The documents below memberFolder are those of the type files once
// more, for types that are used inside an object.
const memberFolder = "/!members"

// Enumeration returns the texts of an enumeration in declared order, so that the index of a text is the integer that
// EVerest's C++ code writes for it. schema is the enumeration, refers to it, or is a list of it. The result is nil for
// any other schema.
func (d *Definitions) Enumeration(schema json.RawMessage) []string {
	var value any
	if d == nil || json.Unmarshal(schema, &value) != nil {
		return nil
	}
	resolved := d.resolve(value)
	if texts := enumTexts(resolved); texts != nil {
		return texts
	}
	return enumTexts(d.resolve(resolved["items"]))
}

// resolve returns the schema at the end of a chain of references, nil where there is none.
func (d *Definitions) resolve(schema any) map[string]any {
	// The bound ends a circle of references.
	for range 32 {
		object, _ := schema.(map[string]any)
		reference, refers := object["$ref"].(string)
		if !refers {
			return object
		}
		raw, known := d.Type(reference)
		if !known || json.Unmarshal(raw, &schema) != nil {
			return nil
		}
	}
	return nil
}

// enumTexts returns the texts of a schema that is an enumeration of texts, nil for any other.
func enumTexts(schema map[string]any) []string {
	values, _ := schema["enum"].([]any)
	var texts []string
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// admitIndices changes a decoded schema so that lists of enumerations inside an object accept indices. inObject is set
// where the schema itself stands inside an object.
func (d *Definitions) admitIndices(schema any, inObject bool) {
	object, ok := schema.(map[string]any)
	if !ok {
		return
	}
	if reference, refers := object["$ref"].(string); refers {
		if inObject && len(reference) > 0 && reference[0] == '/' {
			object["$ref"] = memberFolder + reference
		}
		return // the keywords beside it are ignored
	}
	for _, keyword := range []string{"properties", "patternProperties"} {
		members, _ := object[keyword].(map[string]any)
		for _, member := range members {
			d.admitIndices(member, true)
		}
	}
	d.admitIndices(object["additionalProperties"], true)
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		alternatives, _ := object[keyword].([]any)
		for _, alternative := range alternatives {
			d.admitIndices(alternative, inObject)
		}
	}
	items := object["items"]
	texts := enumTexts(d.resolve(items))
	d.admitIndices(items, inObject)
	if inObject && texts != nil {
		object["items"] = map[string]any{
			"if":   map[string]any{"type": "integer"},
			"then": map[string]any{keywordIndex: json.Number(strconv.Itoa(len(texts)))},
			"else": items,
		}
	}
}

// indexedValues returns how many values an enumeration has, for a schema that admitIndices has changed: the schema of
// elements that C++ writes as indices. It returns 0 for any other.
func indexedValues(schema map[string]any) int {
	then, _ := schema["then"].(map[string]any)
	length, _ := then[keywordIndex].(json.Number)
	count, _ := strconv.Atoi(length.String())
	return count
}

// keywordIndex is a keyword of this package. Its value is how many values an enumeration has. It accepts an integer
// that is the index of one of them.
const keywordIndex = "!index"

func indexVocabulary() *jsonschema.Vocabulary {
	return &jsonschema.Vocabulary{
		URL: schemaBase + "/!vocabulary/index",
		Compile: func(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
			bound, ok := schema[keywordIndex].(json.Number)
			if !ok {
				return nil, nil
			}
			length, err := strconv.Atoi(bound.String())
			return indexBelow(length), err
		},
	}
}

type indexBelow int

// Validate implements jsonschema.SchemaExt.
func (n indexBelow) Validate(context *jsonschema.ValidatorContext, value any) {
	number, ok := value.(json.Number)
	if ok && !n.holds(number.String()) {
		context.AddError(indexOutOfRange{number.String(), int(n)})
	}
}

// holds reports whether a number is the index of a value.
func (n indexBelow) holds(number string) bool {
	index, err := strconv.Atoi(number)
	return err == nil && index >= 0 && index < int(n)
}

type indexOutOfRange struct {
	index  string
	length int
}

// KeywordPath implements jsonschema.ErrorKind.
func (indexOutOfRange) KeywordPath() []string { return []string{"items"} }

// LocalizedString implements jsonschema.ErrorKind.
func (o indexOutOfRange) LocalizedString(*message.Printer) string {
	return "index " + o.index + " of an enumeration that has " + strconv.Itoa(o.length) + " values"
}
