package everest

import (
	"encoding/json"
	"maps"
	"slices"
)

// CheckArguments checks the arguments of a command that leaves the module: the command exists, exactly the declared
// arguments are there, and each fits its schema. The error is a *CommandError of type SchemaValidationError. An interface
// that the set does not hold is not checked.
func (d *Definitions) CheckArguments(interfaceName, command string, arguments Args) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		if _, known := declared.Argument(name); !known {
			return schemaValidationError("argument " + name + " of " + interfaceName + "." + command + " is not declared")
		}
	}
	return d.checkDeclared(interfaceName, declared, arguments)
}

// CheckReceivedArguments checks the arguments of a command that came in: as CheckArguments, but arguments that are not
// declared are let pass, as EVerest's providers do.
func (d *Definitions) CheckReceivedArguments(interfaceName, command string, arguments Args) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	return d.checkDeclared(interfaceName, declared, arguments)
}

func (d *Definitions) checkDeclared(interfaceName string, declared *Command, arguments Args) error {
	for _, argument := range declared.Arguments {
		subject := "argument " + argument.Name + " of " + interfaceName + "." + declared.Name
		value, present := arguments[argument.Name]
		if !present {
			return schemaValidationError(subject + " is missing")
		}
		if err := d.check(subject, argumentLocation(interfaceName, declared.Name, argument.Name), value); err != nil {
			return asCommandError(err)
		}
	}
	return nil
}

// CheckResult checks what a command returned; nil counts as null. The error is a *CommandError of type
// SchemaValidationError. An interface that the set does not hold is not checked.
func (d *Definitions) CheckResult(interfaceName, command string, result json.RawMessage) error {
	declared, err := d.command(interfaceName, command)
	if declared == nil {
		return err
	}
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	if err := d.check("result of "+interfaceName+"."+command, resultLocation(interfaceName, command), result); err != nil {
		return asCommandError(err)
	}
	return nil
}

// CheckVariable checks the value of a variable. The error is a *SchemaError. An interface that the set does not hold is
// not checked.
func (d *Definitions) CheckVariable(interfaceName, variable string, value json.RawMessage) error {
	definition, ok := d.Interface(interfaceName)
	if !ok {
		return nil
	}
	subject := "variable " + interfaceName + "." + variable
	if _, declared := definition.Variables[variable]; !declared {
		return &SchemaError{Subject: subject, Detail: "the interface does not declare it"}
	}
	return d.check(subject, variableLocation(interfaceName, variable), value)
}

// CheckType checks a value against a type by its reference, for example "/authorization#/IdToken". The error is a *SchemaError.
func (d *Definitions) CheckType(reference string, value json.RawMessage) error {
	if _, known := d.Type(reference); !known {
		return &SchemaError{Subject: "type " + reference, Detail: "it is not defined"}
	}
	return d.check("type "+reference, schemaBase+reference, value)
}

// command returns nil without an error where the interface is unknown, and with one where only the command is.
func (d *Definitions) command(interfaceName, command string) (*Command, error) {
	definition, ok := d.Interface(interfaceName)
	if !ok {
		return nil, nil
	}
	declared, ok := definition.Commands[command]
	if !ok {
		return nil, schemaValidationError("command " + command + " is not declared by interface " + interfaceName)
	}
	return declared, nil
}

func schemaValidationError(text string) error {
	return &CommandError{Type: SchemaValidationError, Message: text}
}

func asCommandError(err error) error {
	if schemaError, ok := err.(*SchemaError); ok {
		return schemaValidationError(schemaError.Subject + ": " + schemaError.Detail)
	}
	return schemaValidationError(err.Error())
}
