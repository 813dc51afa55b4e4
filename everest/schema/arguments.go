package schema

import (
	"encoding/json"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// ReadableArguments returns the arguments of a received command as EVerest's C++ providers read them. It is for modules
// that forward a command: the arguments can be sent to a C++ provider without ending it. Its [*Error] names the argument
// that cannot.
//
// An argument is checked as [Shape] checks a value. A C++ provider ignores undeclared arguments, so they are left out.
// It reads a missing argument as null, which is an error except in two cases. An object without required members is
// then {}, and a list of an enumeration is []. The values of all other arguments are returned unchanged.
//
// The arguments of an interface that is not in the set are returned as they are.
func (d *Definitions) ReadableArguments(interfaceName, command string, arguments map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return arguments, err
	}
	shapes := d.argumentShapes(interfaceName, declared)
	readable := make(map[string]json.RawMessage, len(shapes))
	for _, argument := range shapes {
		value, present := arguments[argument.name]
		switch {
		case argument.absent != nil && rawjson.IsNull(value):
			value = argument.absent
		case !present:
			return nil, errorf("%s is missing", argument.shape.subject)
		default:
			if err := argument.shape.Check(value); err != nil {
				return nil, err
			}
		}
		readable[argument.name] = value
	}
	return readable, nil
}

type argumentShape struct {
	name  string
	shape *Shape
	// absent is what C++ reads in place of null, nil where it fails.
	absent json.RawMessage
}

type commandKey struct{ interfaceName, command string }

// argumentShapes returns the shapes of a command's arguments. It compiles them at the first call.
func (d *Definitions) argumentShapes(interfaceName string, command *Command) []argumentShape {
	key := commandKey{interfaceName, command.Name}
	if known, ok := d.commands.Load(key); ok {
		return known.([]argumentShape)
	}
	shapes := make([]argumentShape, len(command.Arguments))
	for i, argument := range command.Arguments {
		subject := "argument " + argument.Name + " of " + interfaceName + "." + command.Name
		shape := d.shape(subject, interfaceName, "arguments", command.Name, argument.Name)
		shapes[i] = argumentShape{argument.Name, shape, shape.root.absent()}
	}
	d.commands.Store(key, shapes)
	return shapes
}

// absent returns the value that the generated code of a provider has for a null argument, nil where that code throws.
func (n *node) absent() json.RawMessage {
	switch {
	case n.kinds&kindNull != 0:
		return json.RawMessage("null")
	case n.kinds == kindObject && n.members != nil && len(n.required) == 0:
		return json.RawMessage("{}")
	case n.kinds == kindArray && n.element != nil && n.element.texts != nil:
		return json.RawMessage("[]")
	}
	return nil
}
