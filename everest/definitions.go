package everest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Definitions is a set of EVerest interface definitions with the types and error declarations that they refer to.
// It is made by LoadDefinitionsJSON, LoadDefinitionsYAML or MergeDefinitions, does not change afterwards and is safe
// for concurrent use. A nil *Definitions is an empty set: it knows no interface and its checks pass.
type Definitions struct {
	meta       map[string]string
	interfaces map[string]*Interface
	types      map[string]json.RawMessage
	errors     map[string]*ErrorNamespace

	// Schemas are compiled on first use, for a module touches few of those that a whole EVerest defines.
	compiling sync.Mutex
	compiler  *jsonschema.Compiler
	compiled  sync.Map // schema location -> *jsonschema.Schema or error
}

// Interface is one EVerest interface: what a provider answers, publishes and raises.
type Interface struct {
	// Name is the interface's name, for example "evse_manager".
	Name string
	// Description is empty where the source carries none.
	Description string
	// Commands by name.
	Commands map[string]*Command
	// Variables by name.
	Variables map[string]*Variable
	// ErrorReferences are the references as the interface file has them: "/errors/generic" or "/errors/generic#/VendorError".
	ErrorReferences []string
	// ErrorTypes are the references expanded, in declared order: "generic/VendorError".
	ErrorTypes []string
}

// Command is one command of an interface. There are no optional arguments: every declared one travels in every call.
type Command struct {
	Name        string
	Description string
	// Arguments in declared order.
	Arguments []Argument
	// Result is the draft-07 schema of the returned value, {"type":"null"} for a command without one.
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
	// QoS is the definition's "qos", 2 where it has none. EVerest publishes every variable with QoS 2 all the same.
	QoS int
}

// ErrorNamespace is one error declaration file: the errors whose types start with its name and a slash.
type ErrorNamespace struct {
	Name        string
	Description string
	// Errors in declared order.
	Errors []ErrorDeclaration
}

// ErrorDeclaration declares one error.
type ErrorDeclaration struct {
	// Name without the namespace: "VendorError".
	Name string
	// Description is empty where the source carries none.
	Description string
}

// Argument returns the argument of that name.
func (c *Command) Argument(name string) (Argument, bool) {
	for _, argument := range c.Arguments {
		if argument.Name == name {
			return argument, true
		}
	}
	return Argument{}, false
}

// HasErrorType reports whether a provider of the interface may raise errors of the type ("generic/VendorError").
func (i *Interface) HasErrorType(errorType string) bool {
	return slices.Contains(i.ErrorTypes, errorType)
}

// Meta returns what the fact files say about their origin ("source", "rev", "commit"); empty for YAML.
func (d *Definitions) Meta() map[string]string {
	if d == nil {
		return nil
	}
	return maps.Clone(d.meta)
}

// Interface returns the interface of that name. The caller must not change it.
func (d *Definitions) Interface(name string) (*Interface, bool) {
	if d == nil {
		return nil, false
	}
	definition, ok := d.interfaces[name]
	return definition, ok
}

// InterfaceNames returns the names of all interfaces, sorted.
func (d *Definitions) InterfaceNames() []string {
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.interfaces))
}

// Type returns the schema of a type by its reference, for example "/authorization#/IdToken".
func (d *Definitions) Type(reference string) (json.RawMessage, bool) {
	if d == nil {
		return nil, false
	}
	schema, ok := d.types[reference]
	return schema, ok
}

// TypeNames returns the references of all types, sorted.
func (d *Definitions) TypeNames() []string {
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.types))
}

// ErrorNamespace returns an error declaration file by name. The caller must not change it.
func (d *Definitions) ErrorNamespace(name string) (*ErrorNamespace, bool) {
	if d == nil {
		return nil, false
	}
	namespace, ok := d.errors[name]
	return namespace, ok
}

// ErrorNamespaces returns the names of all error declaration files, sorted.
func (d *Definitions) ErrorNamespaces() []string {
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.errors))
}

// ErrorDescription returns the declared description of an error type ("generic/VendorError"), or "" where there is none.
func (d *Definitions) ErrorDescription(errorType string) string {
	namespace, name, _ := strings.Cut(errorType, "/")
	declarations, ok := d.ErrorNamespace(namespace)
	if !ok {
		return ""
	}
	for _, declaration := range declarations.Errors {
		if declaration.Name == name {
			return declaration.Description
		}
	}
	return ""
}

// MergeDefinitions puts several sets into a new one, for example EVerest's own and the interfaces of a vendor. The same
// name with the same content may stand in more than one; a later set that says something else about it is an error.
func MergeDefinitions(sets ...*Definitions) (*Definitions, error) {
	merged := newDefinitions()
	for _, set := range sets {
		if set == nil {
			continue
		}
		for key, value := range set.meta {
			if _, taken := merged.meta[key]; !taken {
				merged.meta[key] = value
			}
		}
		if err := mergeInto(merged.interfaces, set.interfaces, "interface"); err != nil {
			return nil, err
		}
		if err := mergeInto(merged.types, set.types, "type"); err != nil {
			return nil, err
		}
		if err := mergeInto(merged.errors, set.errors, "error declarations"); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

func mergeInto[V any](merged, set map[string]V, what string) error {
	for name, value := range set {
		present, taken := merged[name]
		if taken && !sameDefinition(present, value) {
			return fmt.Errorf("everest: %s %q is defined twice and differently", what, name)
		}
		if !taken {
			merged[name] = value
		}
	}
	return nil
}

func newDefinitions() *Definitions {
	return &Definitions{
		meta:       map[string]string{},
		interfaces: map[string]*Interface{},
		types:      map[string]json.RawMessage{},
		errors:     map[string]*ErrorNamespace{},
	}
}
