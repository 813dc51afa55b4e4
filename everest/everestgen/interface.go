package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// command is a command of an interface with its Go types.
type command struct {
	name, method string
	declaration  *schema.Command
	arguments    []argument
	result       string // empty for a command without one
}

type argument struct {
	name, parameter, expression string
}

// variable is a variable of an interface with its Go type.
type variable struct {
	name, method, expression, description string
}

func (g *generator) newInterfaceFile(packageName string) *file {
	return g.newFile(packageName, "types.", namesBesides("Interface", "Provider", "Register", "Client", "NewClient", "Publisher", "NewPublisher"))
}

// interfaceFile returns the Go file of one interface.
func (g *generator) interfaceFile(packageName string, definition *schema.Interface) ([]byte, error) {
	f := g.newInterfaceFile(packageName)
	f.use("everest")
	f.line("// Interface is the name of the interface in manifests.")
	f.line("const Interface = %q", definition.Name)
	f.line("")
	f.errorConstants(definition)
	commands, err := f.commands(definition)
	if err != nil {
		return nil, err
	}
	variables, err := f.variables(definition)
	if err != nil {
		return nil, err
	}
	f.provider(definition, commands)
	f.publisher(definition, variables)
	f.client(definition, commands, variables)
	comment := "// Package " + packageName + " has the typed binding of the EVerest interface " + definition.Name + ".\n" +
		"// A module that provides the interface uses Provider and Publisher. A module that requires it uses Client.\n"
	if described := wrap(definition.Description); len(described) > 0 {
		comment += "//\n" + strings.Join(described, "\n") + "\n"
	}
	return f.format(comment)
}

func (f *file) errorConstants(definition *schema.Interface) {
	if len(definition.ErrorTypes) == 0 {
		return
	}
	f.line("// The types of the errors that a provider may raise.")
	f.line("const (")
	for _, errorType := range definition.ErrorTypes {
		namespace, name, _ := strings.Cut(errorType, "/")
		constant := f.names.unique("Error" + part(namespace) + part(name))
		for _, line := range wrap(f.generator.definitions.ErrorDescription(errorType)) {
			f.line("%s", line)
		}
		f.line("%s = %q", constant, errorType)
	}
	f.line(")")
	f.line("")
}

func (f *file) commands(definition *schema.Interface) ([]command, error) {
	methods := namesBesides("Connection")
	var commands []command
	for _, name := range slices.Sorted(maps.Keys(definition.Commands)) {
		c := command{name: name, method: methods.unique(exported(name)), declaration: definition.Commands[name]}
		parameters := names{}
		for _, declared := range c.declaration.Arguments {
			argumentType, err := f.typeOf(declared.Schema, c.method+part(declared.Name), asTexts)
			if err != nil {
				return nil, fmt.Errorf("command %s: argument %s: %w", name, declared.Name, err)
			}
			f.useIn(argumentType)
			c.arguments = append(c.arguments, argument{declared.Name, parameters.unique(parameter(declared.Name)), argumentType.expression})
		}
		if !isNullType(c.declaration.Result) {
			result, err := f.typeOf(c.declaration.Result, c.method+"Result", asIndices)
			if err != nil {
				return nil, fmt.Errorf("command %s: result: %w", name, err)
			}
			f.useIn(result)
			c.result = result.expression
		}
		commands = append(commands, c)
	}
	return commands, nil
}

func isNullType(raw json.RawMessage) bool {
	parsed, err := parseSchema(raw)
	return err == nil && parsed.Reference == "" && parsed.typeName() == "null"
}

func (f *file) variables(definition *schema.Interface) ([]variable, error) {
	methods := names{}
	var variables []variable
	for _, name := range slices.Sorted(maps.Keys(definition.Variables)) {
		method := methods.unique(exported(name))
		variableType, err := f.typeOf(definition.Variables[name].Schema, method, asTexts)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		f.useIn(variableType)
		variables = append(variables, variable{name, method, variableType.expression, definition.Variables[name].Description})
	}
	return variables, nil
}

// signature returns the parameters and results of a command's method.
func (c command) signature() string {
	parameters := []string{"ctx context.Context"}
	for _, a := range c.arguments {
		parameters = append(parameters, a.parameter+" "+a.expression)
	}
	results := "error"
	if c.result != "" {
		results = "(" + c.result + ", error)"
	}
	return "(" + strings.Join(parameters, ", ") + ") " + results
}

// commandComment writes the doc comment of a command's method.
func (f *file) commandComment(verb string, c command) {
	f.line("// %s %s the command %s.", c.method, verb, c.name)
	if described := wrap(c.declaration.Description); len(described) > 0 {
		f.line("//")
		for _, line := range described {
			f.line("%s", line)
		}
	}
}

func (f *file) provider(definition *schema.Interface, commands []command) {
	if len(commands) == 0 {
		return
	}
	f.use("context")
	f.line("// Provider handles the commands of %s.", definition.Name)
	f.line("// An error of type *everest.CommandError chooses the error type that the caller receives.")
	f.line("type Provider interface {")
	for _, c := range commands {
		f.commandComment("handles", c)
		f.line("%s%s", c.method, c.signature())
	}
	f.line("}")
	f.line("")
	f.line("// Register makes provider handle all commands of implementation.")
	f.line("func Register(implementation *everest.Provided, provider Provider) {")
	for _, c := range commands {
		fields, values := "", []string{"ctx"}
		scope := names{}
		for _, a := range c.arguments {
			field := scope.unique(exported(a.name))
			fields += fmt.Sprintf("%s %s `json:%q`\n", field, a.expression, a.name)
			values = append(values, "arguments."+field)
		}
		arguments := "_ struct{}"
		if fields != "" {
			arguments = "arguments struct {\n" + fields + "}"
		}
		call := "provider." + c.method + "(" + strings.Join(values, ", ") + ")"
		if c.result == "" {
			f.line("everest.Handle(implementation, %q, func(ctx context.Context, %s) (any, error) {", c.name, arguments)
			f.line("return nil, %s", call)
		} else {
			f.line("everest.Handle(implementation, %q, func(ctx context.Context, %s) (%s, error) {", c.name, arguments, c.result)
			f.line("return %s", call)
		}
		f.line("})")
	}
	f.line("}")
	f.line("")
}

func (f *file) publisher(definition *schema.Interface, variables []variable) {
	if len(variables) == 0 {
		return
	}
	f.use("context")
	f.line("// Publisher publishes the variables of %s.", definition.Name)
	f.line("type Publisher struct{ implementation *everest.Provided }")
	f.line("")
	f.line("// NewPublisher returns a Publisher for implementation.")
	f.line("func NewPublisher(implementation *everest.Provided) Publisher { return Publisher{implementation} }")
	f.line("")
	for _, v := range variables {
		f.variableComment(v.method+" publishes the variable "+v.name+".", v)
		f.line("func (p Publisher) %s(ctx context.Context, value %s) error {", v.method, v.expression)
		f.line("return p.implementation.Publish(ctx, %q, value)", v.name)
		f.line("}")
		f.line("")
	}
}

func (f *file) variableComment(first string, v variable) {
	f.line("// %s", first)
	if described := wrap(v.description); len(described) > 0 {
		f.line("//")
		for _, line := range described {
			f.line("%s", line)
		}
	}
}

func (f *file) client(definition *schema.Interface, commands []command, variables []variable) {
	f.line("// Client calls the commands and subscribes to the variables of a connected implementation of %s.", definition.Name)
	f.line("type Client struct{ connection *everest.Required }")
	f.line("")
	f.line("// NewClient returns a Client for connection.")
	f.line("func NewClient(connection *everest.Required) Client { return Client{connection} }")
	f.line("")
	f.line("// Connection returns the connection of the client, for example to subscribe to errors.")
	f.line("func (c Client) Connection() *everest.Required { return c.connection }")
	f.line("")
	methods := namesBesides("Connection")
	for _, c := range commands {
		methods[c.method] = true
		arguments := "nil"
		if len(c.arguments) > 0 {
			members := make([]string, len(c.arguments))
			for i, a := range c.arguments {
				members[i] = fmt.Sprintf("%q: %s", a.name, a.parameter)
			}
			arguments = "map[string]any{" + strings.Join(members, ", ") + "}"
		}
		f.commandComment("calls", c)
		f.line("func (c Client) %s%s {", c.method, c.signature())
		if c.result == "" {
			f.line("return c.connection.Call(ctx, %q, %s, nil)", c.name, arguments)
		} else {
			f.line("return everest.Call[%s](ctx, c.connection, %q, %s)", c.result, c.name, arguments)
		}
		f.line("}")
		f.line("")
	}
	for _, v := range variables {
		f.use("context")
		method := methods.unique("Subscribe" + v.method)
		f.variableComment(method+" subscribes to the variable "+v.name+", as everest.Subscribe does.", v)
		f.line("func (c Client) %s(handler func(ctx context.Context, value %s), options ...everest.SubscribeOption) {", method, v.expression)
		f.line("everest.Subscribe(c.connection, %q, handler, options...)", v.name)
		f.line("}")
		f.line("")
	}
}
