package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/remotechargeport/remotechargeport/everest/internal/yamljson"
)

// Definitions is a set of EVerest interface definitions, with the types and error declarations that they refer to. A
// set never changes and is safe for concurrent use. A nil *Definitions is an empty set; its checks pass, except for
// CheckType.
type Definitions struct {
	interfaces map[string]*Interface
	types      map[string]json.RawMessage
	errors     map[string]*ErrorNamespace
	// lenient is set while an interface may refer to error lists that the set lacks.
	lenient bool

	// Schemas are compiled at first use, because a module uses few of those that all of EVerest defines.
	compiling sync.Mutex
	compiler  *jsonschema.Compiler
	compiled  sync.Map // schema location -> *jsonschema.Schema or error
	shapes    shapeCompiler
	commands  sync.Map // commandKey -> []argumentShape
}

// Interface returns the interface with that name. The caller must not change it.
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

// Type returns the schema of the type with the given reference, for example "/authorization#/IdToken".
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

// ErrorNamespace returns the error declaration file with that name. The caller must not change it.
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

// ErrorDescription returns the declared description of an error type such as "generic/VendorError", or "" when there is
// none.
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

// Merge returns a set with the content of several sets, for example EVerest's own and a vendor's. A name that is
// defined in several sets must be defined equally in all of them, or Merge returns an error.
func Merge(sets ...*Definitions) (*Definitions, error) {
	merged := newDefinitions()
	for _, set := range sets {
		if set == nil {
			continue
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
		interfaces: map[string]*Interface{},
		types:      map[string]json.RawMessage{},
		errors:     map[string]*ErrorNamespace{},
	}
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

// WithInterface returns a new set with one more interface, read from a YAML definition. It is for interfaces that
// EVerest itself lacks. Error lists that the set lacks are left out, as package install leaves them out: not every release
// has them. WithErrors adds them. If a type is missing, WithInterface succeeds, and each check that needs the type returns an error.
func (d *Definitions) WithInterface(name string, content []byte) (*Definitions, error) {
	extended, err := Merge(d)
	if err != nil {
		return nil, err
	}
	document, err := yamljson.Convert(content)
	if err != nil {
		return nil, fmt.Errorf("everest: interface %s: %w", name, err)
	}
	extended.lenient = true
	defer func() { extended.lenient = false }()
	if err := extended.addInterface(name, document); err != nil {
		return nil, err
	}
	return extended, nil
}

// WithErrors returns a new set with one more list of errors, read from the YAML of errors/<namespace>.yaml. The types of
// its errors begin with the namespace and a slash. A list of the same name is replaced. Interfaces of the set that refer
// to the list and did not find it have its errors then, so the order of WithErrors and WithInterface does not matter.
func (d *Definitions) WithErrors(namespace string, content []byte) (*Definitions, error) {
	extended, err := Merge(d)
	if err != nil {
		return nil, err
	}
	document, err := yamljson.Convert(content)
	if err == nil {
		err = extended.readErrorFile(namespace, document)
	}
	if err != nil {
		return nil, fmt.Errorf("everest: errors %s: %w", namespace, err)
	}
	for name, definition := range extended.interfaces {
		if len(definition.MissingErrorReferences) == 0 {
			continue
		}
		if extended.interfaces[name], err = extended.withErrors(definition, namespace); err != nil {
			return nil, fmt.Errorf("everest: interface %s: errors: %w", name, err)
		}
	}
	return extended, nil
}

// WithTypes returns a new set with the types of one more file, read from the YAML of types/<file>.yaml. Types of the same
// names are replaced.
func (d *Definitions) WithTypes(file string, content []byte) (*Definitions, error) {
	extended, err := Merge(d)
	if err != nil {
		return nil, err
	}
	document, err := yamljson.Convert(content)
	if err == nil {
		err = extended.readTypeFile(file, document)
	}
	if err != nil {
		return nil, fmt.Errorf("everest: types %s: %w", file, err)
	}
	return extended, nil
}

// Over returns a new set with the content of both sets. Where both define a name, the definition of d is taken. So an
// installation's definitions can replace the built-in ones.
func (d *Definitions) Over(other *Definitions) *Definitions {
	united := newDefinitions()
	for _, set := range []*Definitions{other, d} {
		if set == nil {
			continue
		}
		maps.Copy(united.interfaces, set.interfaces)
		maps.Copy(united.types, set.types)
		maps.Copy(united.errors, set.errors)
	}
	return united
}
