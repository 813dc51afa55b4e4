package schema

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/message"
)

// integerVocabulary gives "type": "integer" the meaning that it has in EVerest's C++ code: the number's text has
// neither a decimal point nor an exponent. Draft-07 alone accepts 5.0, which a C++ peer with validation drops.
func integerVocabulary() *jsonschema.Vocabulary {
	return &jsonschema.Vocabulary{
		URL: schemaBase + "/!vocabulary/integer",
		Compile: func(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
			if schema["type"] == "integer" {
				return integerText{}, nil
			}
			return nil, nil
		},
	}
}

type integerText struct{}

// Validate implements jsonschema.SchemaExt.
func (integerText) Validate(context *jsonschema.ValidatorContext, value any) {
	number, ok := value.(json.Number)
	if ok && strings.ContainsAny(number.String(), ".eE") {
		context.AddError(fractionalInteger{number.String()})
	}
}

type fractionalInteger struct{ text string }

// KeywordPath implements jsonschema.ErrorKind.
func (fractionalInteger) KeywordPath() []string { return []string{"type"} }

// LocalizedString implements jsonschema.ErrorKind.
func (f fractionalInteger) LocalizedString(*message.Printer) string {
	return "an integer is written without fraction and exponent, not " + f.text
}

// checkURI implements EVerest's definition of the format: any text with "://" in it.
func checkURI(value any) error {
	if text, ok := value.(string); ok && !strings.Contains(text, "://") {
		return errors.New("a URI contains ://")
	}
	return nil
}
