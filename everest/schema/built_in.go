package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

var (
	//go:embed 2026.02.0/interfaces.json
	interfaces []byte
	//go:embed 2026.02.0/types.json
	types []byte
	//go:embed 2026.02.0/errors.json
	errorTypes []byte
)

// BuiltIn parses the embedded definitions of EVerest 2026.02.0. Each call returns a new set, which compiles its schemas
// itself. So a program should call BuiltIn once and keep the set.
func BuiltIn() (*Definitions, error) {
	return LoadJSON(interfaces, types, errorTypes)
}

// LoadJSON reads definitions from three JSON documents, the form in which the built-in definitions are embedded.
// interfaces holds all interfaces ({"interfaces":{...}}). types holds all types ({"types":{"/file#/Name":{...}}}).
// errors holds all error declarations ({"error_types":{"generic":["generic/VendorError"]}}). types and errors may be
// nil.
func LoadJSON(interfaces, types, errors []byte) (*Definitions, error) {
	loaded := newDefinitions()
	if err := loaded.readErrorFacts(errors); err != nil {
		return nil, err
	}
	if err := loaded.readTypeFacts(types); err != nil {
		return nil, err
	}
	if err := loaded.readInterfaceFacts(interfaces); err != nil {
		return nil, err
	}
	return loaded, nil
}

func (d *Definitions) readInterfaceFacts(document []byte) error {
	var facts struct {
		Interfaces map[string]json.RawMessage `json:"interfaces"`
	}
	if err := json.Unmarshal(document, &facts); err != nil {
		return fmt.Errorf("everest: interface facts: %w", err)
	}
	for name, raw := range facts.Interfaces {
		if err := d.addInterface(name, raw); err != nil {
			return err
		}
	}
	return nil
}

func (d *Definitions) readTypeFacts(document []byte) error {
	if len(document) == 0 {
		return nil
	}
	var facts struct {
		Types map[string]json.RawMessage `json:"types"`
	}
	if err := json.Unmarshal(document, &facts); err != nil {
		return fmt.Errorf("everest: type facts: %w", err)
	}
	for reference, schema := range facts.Types {
		if file, name, ok := strings.Cut(reference, "#/"); !ok || !strings.HasPrefix(file, "/") || name == "" {
			return fmt.Errorf("everest: type facts: %q is not of the form /file#/Name", reference)
		}
		d.types[reference] = schema
	}
	return nil
}

func (d *Definitions) readErrorFacts(document []byte) error {
	if len(document) == 0 {
		return nil
	}
	var facts struct {
		ErrorTypes map[string][]string `json:"error_types"`
	}
	if err := json.Unmarshal(document, &facts); err != nil {
		return fmt.Errorf("everest: error facts: %w", err)
	}
	for name, errorTypes := range facts.ErrorTypes {
		namespace := &ErrorNamespace{Name: name}
		for _, errorType := range errorTypes {
			errorName, ok := strings.CutPrefix(errorType, name+"/")
			if !ok {
				return fmt.Errorf("everest: error facts: %q is listed under %q", errorType, name)
			}
			namespace.Errors = append(namespace.Errors, ErrorDeclaration{Name: errorName})
		}
		d.errors[name] = namespace
	}
	return nil
}
