package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Type files have URLs below this base. So an EVerest reference such as "/authorization#/IdToken" is a relative URL, of
// a file and a JSON pointer. Interfaces are below a folder whose name no type file has.
const (
	schemaBase      = "everest://definitions"
	interfaceFolder = "/!interfaces/"
)

// Compile compiles every schema of the set, and returns an error for a schema that cannot be used. The checks compile
// each schema at its first use, so Compile is only needed to test a whole set in advance.
func (d *Definitions) Compile() error {
	for _, name := range d.InterfaceNames() {
		definition := d.interfaces[name]
		for command, declared := range definition.Commands {
			for _, argument := range declared.Arguments {
				if _, err := d.schema(argumentLocation(name, command, argument.Name)); err != nil {
					return err
				}
			}
			if _, err := d.schema(resultLocation(name, command)); err != nil {
				return err
			}
		}
		for variable := range definition.Variables {
			if _, err := d.schema(variableLocation(name, variable)); err != nil {
				return err
			}
		}
	}
	for reference := range d.typesOrNone() {
		if _, err := d.schema(schemaBase + reference); err != nil {
			return err
		}
	}
	return nil
}

func (d *Definitions) typesOrNone() map[string]json.RawMessage {
	if d == nil {
		return nil
	}
	return d.types
}

// schema returns the compiled schema at the location. It compiles the schema at the first call.
func (d *Definitions) schema(location string) (*jsonschema.Schema, error) {
	if known, ok := d.compiled.Load(location); ok {
		if err, failed := known.(error); failed {
			return nil, err
		}
		return known.(*jsonschema.Schema), nil
	}
	d.compiling.Lock()
	defer d.compiling.Unlock()
	if d.compiler == nil {
		d.compiler = jsonschema.NewCompiler()
		d.compiler.DefaultDraft(jsonschema.Draft7)
		d.compiler.AssertFormat()
		d.compiler.RegisterFormat(&jsonschema.Format{Name: "uri", Validate: checkURI})
		d.compiler.RegisterVocabulary(integerVocabulary())
		d.compiler.RegisterVocabulary(indexVocabulary())
		d.compiler.UseLoader(definitionLoader{d})
	}
	compiled, err := d.compiler.Compile(location)
	if err != nil {
		err = errorf("the definition at %s cannot be used: %v", strings.TrimPrefix(location, schemaBase), err)
		d.compiled.Store(location, err)
		return nil, err
	}
	d.compiled.Store(location, compiled)
	return compiled, nil
}

func (d *Definitions) check(subject, location string, value json.RawMessage) error {
	compiled, err := d.schema(location)
	if err != nil {
		return err
	}
	instance, err := rawjson.Decode(value)
	if err != nil {
		return errorf("%s: %v", subject, err)
	}
	if err := compiled.Validate(instance); err != nil {
		return errorf("%s: %s", subject, validationDetail(err))
	}
	return nil
}

func validationDetail(err error) string {
	var failed *jsonschema.ValidationError
	if !errors.As(err, &failed) {
		return err.Error()
	}
	printer := message.NewPrinter(language.English)
	var details []string
	var collect func(*jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			text := e.ErrorKind.LocalizedString(printer)
			if len(e.InstanceLocation) > 0 {
				text = "at /" + strings.Join(e.InstanceLocation, "/") + ": " + text
			}
			details = append(details, text)
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	collect(failed)
	return strings.Join(details, "; ")
}

// definitionLoader supplies the schema compiler with whole documents. The document of a type file holds its types by
// name. The document of an interface holds its arguments, results and variables. In all of them lists of enumerations
// accept indices where EVerest writes them.
type definitionLoader struct{ definitions *Definitions }

// Load implements jsonschema.URLLoader.
func (l definitionLoader) Load(url string) (any, error) {
	file, ok := strings.CutPrefix(url, schemaBase)
	if !ok {
		return nil, fmt.Errorf("only references of the form /file#/Type can be resolved, not %q", url)
	}
	if name, isInterface := strings.CutPrefix(file, interfaceFolder); isInterface {
		return l.interfaceDocument(name)
	}
	file, inObject := strings.CutPrefix(file, memberFolder)
	document := map[string]any{}
	for reference, schema := range l.definitions.types {
		typeFile, name, _ := strings.Cut(reference, "#/")
		if typeFile != file {
			continue
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", reference, err)
		}
		l.definitions.admitIndices(value, inObject)
		document[name] = value
	}
	if len(document) == 0 {
		return nil, fmt.Errorf("there is no type file %s", file)
	}
	return document, nil
}

func (l definitionLoader) interfaceDocument(name string) (any, error) {
	definition, ok := l.definitions.interfaces[name]
	if !ok {
		return nil, fmt.Errorf("there is no interface %s", name)
	}
	results, arguments, variables := map[string]any{}, map[string]any{}, map[string]any{}
	read := func(into map[string]any, key string, schema json.RawMessage, inObject bool) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
		l.definitions.admitIndices(value, inObject)
		into[key] = value
		return err
	}
	for command, declared := range definition.Commands {
		of := map[string]any{}
		for _, argument := range declared.Arguments {
			if err := read(of, argument.Name, argument.Schema, false); err != nil {
				return nil, fmt.Errorf("argument %s of %s.%s: %w", argument.Name, name, command, err)
			}
		}
		arguments[command] = of
		if err := read(results, command, declared.Result, true); err != nil {
			return nil, fmt.Errorf("result of %s.%s: %w", name, command, err)
		}
	}
	for variable, declared := range definition.Variables {
		if err := read(variables, variable, declared.Schema, false); err != nil {
			return nil, fmt.Errorf("variable %s.%s: %w", name, variable, err)
		}
	}
	return map[string]any{"arguments": arguments, "results": results, "variables": variables}, nil
}

func argumentLocation(interfaceName, command, argument string) string {
	return schemaBase + interfaceFolder + interfaceName + "#/arguments/" + command + "/" + argument
}

func resultLocation(interfaceName, command string) string {
	return schemaBase + interfaceFolder + interfaceName + "#/results/" + command
}

func variableLocation(interfaceName, variable string) string {
	return schemaBase + interfaceFolder + interfaceName + "#/variables/" + variable
}
