package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Interface is one EVerest interface: the commands, variables and errors of a provider.
type Interface struct {
	// Name is the interface's name, for example "evse_manager".
	Name string
	// Description is empty when the definition has none.
	Description string
	// Commands holds the commands by name.
	Commands map[string]*Command
	// Variables holds the variables by name.
	Variables map[string]*Variable
	// ErrorReferences lists the references in the form of the interface file: "/errors/generic" or
	// "/errors/generic#/VendorError".
	ErrorReferences []string
	// ErrorTypes lists the error types that the references name, such as "generic/VendorError", in declared order.
	ErrorTypes []string
	// MissingErrorReferences lists references to error lists that the set lacks; see Definitions.WithErrors.
	MissingErrorReferences []string
}

// Command is one command of an interface. Every call must have all declared arguments; none is optional.
type Command struct {
	Name        string
	Description string
	// Arguments lists the arguments in declared order.
	Arguments []Argument
	// Result is the draft-07 schema of the returned value. It is {"type":"null"} for a command without a result.
	Result json.RawMessage
}

// Argument is one argument of a command.
type Argument struct {
	Name string
	// Schema is a draft-07 schema whose $ref is of the form "/authorization#/IdToken".
	Schema json.RawMessage
}

// Variable is one variable of an interface.
type Variable struct {
	Name        string
	Description string
	// Schema is the draft-07 schema of the published value.
	Schema json.RawMessage
	// QoS is the "qos" of the definition, or 2 when the definition has none. EVerest ignores it and publishes every
	// variable with QoS 2.
	QoS int
}

// ErrorNamespace is one error declaration file. The types of its errors begin with its name and a slash.
type ErrorNamespace struct {
	Name        string
	Description string
	// Errors lists the errors in declared order.
	Errors []ErrorDeclaration
}

// ErrorDeclaration declares one error.
type ErrorDeclaration struct {
	// Name is the error's name without the namespace, for example "VendorError".
	Name string
	// Description is empty when the definition has none.
	Description string
}

// Argument returns the argument with that name.
func (c *Command) Argument(name string) (Argument, bool) {
	for _, argument := range c.Arguments {
		if argument.Name == name {
			return argument, true
		}
	}
	return Argument{}, false
}

// HasErrorType reports whether the interface lists an error type such as "generic/VendorError".
func (i *Interface) HasErrorType(errorType string) bool {
	return slices.Contains(i.ErrorTypes, errorType)
}

// interfaceDocument is an interface in JSON. Its three forms differ only in the errors. The YAML files have objects,
// the embedded definitions have strings, and the manager publishes the complete declarations.
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
	commands, err := rawjson.Members(document.Commands)
	if err != nil {
		return fmt.Errorf("everest: interface %s: cmds: %w", name, err)
	}
	for _, member := range commands {
		command, err := parseCommand(member.Name, member.Value)
		if err != nil {
			return fmt.Errorf("everest: interface %s: command %s: %w", name, member.Name, err)
		}
		definition.Commands[member.Name] = command
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
	if rawjson.IsNull(command.Result) {
		command.Result = json.RawMessage(`{"type":"null"}`)
	}
	arguments, err := rawjson.Members(document.Arguments)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	for _, member := range arguments {
		command.Arguments = append(command.Arguments, Argument{Name: member.Name, Schema: member.Value})
	}
	return command, nil
}

// readErrorReferences accepts the three forms in which an interface lists its errors.
func (d *Definitions) readErrorReferences(definition *Interface, raw json.RawMessage) error {
	if rawjson.IsNull(raw) {
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
		if d.lenient && errors.Is(err, errNoErrorList) {
			definition.MissingErrorReferences = append(definition.MissingErrorReferences, reference)
			continue
		}
		if err == nil {
			err = definition.addErrors(reference, errorTypes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (i *Interface) addErrors(reference string, errorTypes []string) error {
	for _, errorType := range errorTypes {
		if i.HasErrorType(errorType) {
			return fmt.Errorf("%s is referenced twice", errorType)
		}
		i.ErrorTypes = append(i.ErrorTypes, errorType)
	}
	i.ErrorReferences = append(i.ErrorReferences, reference)
	return nil
}

// withErrors returns the interface with the errors of a list that was missing.
func (d *Definitions) withErrors(definition *Interface, namespace string) (*Interface, error) {
	found := *definition
	found.ErrorTypes, found.ErrorReferences, found.MissingErrorReferences = slices.Clone(found.ErrorTypes), slices.Clone(found.ErrorReferences), nil
	for _, reference := range definition.MissingErrorReferences {
		if list, _, _ := strings.Cut(reference, "#"); list != "/errors/"+namespace {
			found.MissingErrorReferences = append(found.MissingErrorReferences, reference)
			continue
		}
		errorTypes, err := d.expandErrorReference(reference)
		if err == nil {
			err = found.addErrors(reference, errorTypes)
		}
		if err != nil {
			return nil, err
		}
	}
	return &found, nil
}

// readExpandedErrors reads the form that the manager publishes: namespace -> name -> declaration.
func (d *Definitions) readExpandedErrors(definition *Interface, raw json.RawMessage) error {
	namespaces, err := rawjson.Members(raw)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		names, err := rawjson.Members(namespace.Value)
		if err != nil {
			return err
		}
		for _, name := range names {
			definition.ErrorTypes = append(definition.ErrorTypes, namespace.Name+"/"+name.Name)
			definition.ErrorReferences = append(definition.ErrorReferences, "/errors/"+namespace.Name+"#/"+name.Name)
		}
	}
	return nil
}

var errNoErrorList = errors.New("names an error list that is not there")

func (d *Definitions) expandErrorReference(reference string) ([]string, error) {
	path, ok := strings.CutPrefix(reference, "/errors/")
	if !ok {
		return nil, fmt.Errorf("reference %q does not start with /errors/", reference)
	}
	namespace, name, single := strings.Cut(path, "#/")
	declarations, ok := d.errors[namespace]
	if !ok {
		return nil, fmt.Errorf("reference %q %w", reference, errNoErrorList)
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
