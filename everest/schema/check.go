package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Error means that a value does not fit its definition. All checks return errors of this type.
type Error struct {
	// Message names the value and the reason, as in "argument connection_timeout of auth.set_connection_timeout:
	// minimum: got 5, want 10".
	Message string
	// Place is the JSON pointer of what is wrong in the value, as in "/meter_value/energy_Wh_import". [Shape.Check] sets
	// it. It is empty where the value as a whole is wrong.
	Place string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

func errorf(format string, arguments ...any) error {
	return &Error{Message: fmt.Sprintf(format, arguments...)}
}

// CheckArguments checks the arguments of a command before it is sent. The interface must declare the command and
// exactly these arguments, and each argument must fit its schema. An interface that is not in the set is not checked.
func (d *Definitions) CheckArguments(interfaceName, command string, arguments map[string]json.RawMessage) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		if _, known := declared.Argument(name); !known {
			return errorf("argument %s of %s.%s is not declared", name, interfaceName, command)
		}
	}
	return d.checkDeclared(interfaceName, declared, arguments)
}

// CheckReceivedArguments checks the arguments of a received command as CheckArguments does, but accepts undeclared
// arguments. EVerest's providers accept them too.
func (d *Definitions) CheckReceivedArguments(interfaceName, command string, arguments map[string]json.RawMessage) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	return d.checkDeclared(interfaceName, declared, arguments)
}

func (d *Definitions) checkDeclared(interfaceName string, declared *Command, arguments map[string]json.RawMessage) error {
	for _, argument := range declared.Arguments {
		subject := "argument " + argument.Name + " of " + interfaceName + "." + declared.Name
		value, present := arguments[argument.Name]
		if !present {
			return errorf("%s is missing", subject)
		}
		if err := d.check(subject, argumentLocation(interfaceName, declared.Name, argument.Name), value); err != nil {
			return err
		}
	}
	return nil
}

// CheckResult checks the result of a command. A nil result is checked as null. An interface that is not in the set is
// not checked.
func (d *Definitions) CheckResult(interfaceName, command string, result json.RawMessage) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	return d.check("result of "+interfaceName+"."+command, resultLocation(interfaceName, command), result)
}

// CheckVariable checks the value of a variable. An interface that is not in the set is not checked.
func (d *Definitions) CheckVariable(interfaceName, variable string, value json.RawMessage) error {
	definition, ok := d.Interface(interfaceName)
	if !ok {
		return nil
	}
	subject := "variable " + interfaceName + "." + variable
	if _, declared := definition.Variables[variable]; !declared {
		return errorf("%s: the interface does not declare it", subject)
	}
	return d.check(subject, variableLocation(interfaceName, variable), value)
}

// CheckType checks a value against the type with the given reference, for example "/authorization#/IdToken".
func (d *Definitions) CheckType(reference string, value json.RawMessage) error {
	if _, known := d.Type(reference); !known {
		return errorf("type %s: it is not defined", reference)
	}
	return d.check("type "+reference, schemaBase+reference, value)
}

// command returns nil for an unknown interface, and an error for an unknown command of a known interface.
func (d *Definitions) command(interfaceName, command string) (*Command, error) {
	definition, ok := d.Interface(interfaceName)
	if !ok {
		return nil, nil
	}
	declared, ok := definition.Commands[command]
	if !ok {
		return nil, errorf("command %s is not declared by interface %s", command, interfaceName)
	}
	return declared, nil
}
