package everest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// LoadDefinitionsJSON reads the JSON form of the definitions, as package everest/definitions embeds it: one document
// with all interfaces ({"interfaces":{...}}), one with all types ({"types":{"/file#/Name":{...}}}) and one with all
// error declarations ({"error_types":{"generic":["generic/VendorError"]}}). types and errors may be nil.
func LoadDefinitionsJSON(interfaces, types, errors []byte) (*Definitions, error) {
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
		Meta       map[string]string          `json:"_meta"`
		Interfaces map[string]json.RawMessage `json:"interfaces"`
	}
	if err := json.Unmarshal(document, &facts); err != nil {
		return fmt.Errorf("everest: interface facts: %w", err)
	}
	if facts.Meta != nil {
		d.meta = facts.Meta
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

// interfaceDocument is an interface file: the YAML form (errors as objects), the facts form (errors as strings) and
// what the manager publishes (errors expanded) differ only in their errors.
type interfaceDocument struct {
	Description string                     `json:"description"`
	Commands    json.RawMessage            `json:"cmds"`
	Variables   map[string]json.RawMessage `json:"vars"`
	Errors      json.RawMessage            `json:"errors"`
}

func (d *Definitions) addInterface(name string, raw json.RawMessage) error {
	var document interfaceDocument
	if err := json.Unmarshal(raw, &document); err != nil {
		return fmt.Errorf("everest: interface %s: %w", name, err)
	}
	definition := &Interface{Name: name, Description: document.Description, Commands: map[string]*Command{}, Variables: map[string]*Variable{}}
	commands, err := orderedMembers(document.Commands)
	if err != nil {
		return fmt.Errorf("everest: interface %s: cmds: %w", name, err)
	}
	for _, member := range commands {
		command, err := parseCommand(member.name, member.value)
		if err != nil {
			return fmt.Errorf("everest: interface %s: command %s: %w", name, member.name, err)
		}
		definition.Commands[member.name] = command
	}
	for variable, schema := range document.Variables {
		var head struct {
			Description string `json:"description"`
			QoS         *int   `json:"qos"`
		}
		if err := json.Unmarshal(schema, &head); err != nil {
			return fmt.Errorf("everest: interface %s: variable %s: %w", name, variable, err)
		}
		parsed := &Variable{Name: variable, Description: head.Description, Schema: schema, QoS: 2}
		if head.QoS != nil {
			parsed.QoS = *head.QoS
		}
		definition.Variables[variable] = parsed
	}
	if err := d.readErrorReferences(definition, document.Errors); err != nil {
		return fmt.Errorf("everest: interface %s: errors: %w", name, err)
	}
	d.interfaces[name] = definition
	return nil
}

func parseCommand(name string, raw json.RawMessage) (*Command, error) {
	var document struct {
		Description string          `json:"description"`
		Arguments   json.RawMessage `json:"arguments"`
		Result      json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	command := &Command{Name: name, Description: document.Description, Result: document.Result}
	if isNull(command.Result) {
		command.Result = json.RawMessage(`{"type":"null"}`)
	}
	arguments, err := orderedMembers(document.Arguments)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	for _, member := range arguments {
		command.Arguments = append(command.Arguments, Argument{Name: member.name, Schema: member.value})
	}
	return command, nil
}

// readErrorReferences accepts the three forms in which an interface lists its errors.
func (d *Definitions) readErrorReferences(definition *Interface, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	if raw[0] == '{' {
		return d.readExpandedErrors(definition, raw)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return err
	}
	for _, entry := range entries {
		var reference string
		if entry[0] == '{' {
			var object struct {
				Reference string `json:"reference"`
			}
			if err := json.Unmarshal(entry, &object); err != nil {
				return err
			}
			reference = object.Reference
		} else if err := json.Unmarshal(entry, &reference); err != nil {
			return err
		}
		errorTypes, err := d.expandErrorReference(reference)
		if err != nil {
			return err
		}
		for _, errorType := range errorTypes {
			if definition.HasErrorType(errorType) {
				return fmt.Errorf("%s is referenced twice", errorType)
			}
			definition.ErrorTypes = append(definition.ErrorTypes, errorType)
		}
		definition.ErrorReferences = append(definition.ErrorReferences, reference)
	}
	return nil
}

// readExpandedErrors reads namespace -> name -> declaration, which is how the manager publishes them.
func (d *Definitions) readExpandedErrors(definition *Interface, raw json.RawMessage) error {
	namespaces, err := orderedMembers(raw)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		names, err := orderedMembers(namespace.value)
		if err != nil {
			return err
		}
		for _, name := range names {
			definition.ErrorTypes = append(definition.ErrorTypes, namespace.name+"/"+name.name)
			definition.ErrorReferences = append(definition.ErrorReferences, "/errors/"+namespace.name+"#/"+name.name)
		}
	}
	return nil
}

func (d *Definitions) expandErrorReference(reference string) ([]string, error) {
	path, ok := strings.CutPrefix(reference, "/errors/")
	if !ok {
		return nil, fmt.Errorf("reference %q does not start with /errors/", reference)
	}
	namespace, name, single := strings.Cut(path, "#/")
	declarations, ok := d.errors[namespace]
	if !ok {
		return nil, fmt.Errorf("reference %q names an error list that is not there", reference)
	}
	var errorTypes []string
	for _, declaration := range declarations.Errors {
		if !single || declaration.Name == name {
			errorTypes = append(errorTypes, namespace+"/"+declaration.Name)
		}
	}
	if single && len(errorTypes) == 0 {
		return nil, fmt.Errorf("reference %q names an error that %q does not declare", reference, namespace)
	}
	return errorTypes, nil
}

func sameDefinition(a, b any) bool {
	rawA, isRaw := a.(json.RawMessage)
	if !isRaw {
		return reflect.DeepEqual(a, b)
	}
	var valueA, valueB any
	if json.Unmarshal(rawA, &valueA) != nil || json.Unmarshal(b.(json.RawMessage), &valueB) != nil {
		return false
	}
	return reflect.DeepEqual(valueA, valueB)
}
