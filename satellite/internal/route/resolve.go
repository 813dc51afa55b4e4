package route

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// prefixDerived precedes "<id>.<command>" in the legacy function name of a derived command. No function of the C++
// modules begins with it, because their process ends on arguments that it does not expect.
const prefixDerived = "tunnel:"

// resolve resolves the standard routes and the extras against one board. interfaces are those of the board's manifest,
// by id. The problems name the extras that cannot be tunnelled, and the remedy.
func resolve(interfaces map[string]string, definitions *schema.Definitions, extras []Extra) (routes []Route, problems []string) {
	for _, route := range Standard() {
		if _, offered := interfaces[route.ID]; !offered {
			route.Variables = nil
			for i := range route.Commands {
				route.Commands[i].Missing = true
			}
		} else if declared, known := definitions.Interface(route.Interface); known {
			route.resolve(declared, definitions)
		}
		routes = append(routes, route)
	}
	for _, extra := range extras {
		declared, known := definitions.Interface(extra.Interface)
		offered, there := interfaces[extra.ID]
		again := "install again with -install PREFIX -tunnel " + FormatExtras(extras)
		switch {
		case !there:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: the installed manifest does not have it; %s", extra, again))
		case offered != extra.Interface:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: in the installed manifest %s is of interface %s; %s",
				extra, extra.ID, offered, again))
		case !known:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: interface %s is not defined in share/everest/interfaces of the installation",
				extra, extra.Interface))
		default:
			route := Route{ID: extra.ID, Interface: extra.Interface, Extra: true}
			route.resolve(declared, definitions)
			routes = append(routes, route)
		}
	}
	return routes, problems
}

// resolve adapts the route to the board's definition of the interface. Variables that the definition lacks are removed.
// Commands that it lacks stay, marked as missing, because the peer may call them. Members that only the definition has
// are added.
func (route *Route) resolve(declared *schema.Interface, definitions *schema.Definitions) {
	known := make(map[string]bool)
	for i, command := range route.Commands {
		known[command.Name] = true
		definition := declared.Commands[command.Name]
		route.Commands[i].Missing = definition == nil
		if definition != nil {
			route.Commands[i].enums = enumsOf(command, definition, definitions)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared.Commands)) {
		if !known[name] {
			route.Commands = append(route.Commands, derive(route.ID, declared.Commands[name], definitions))
		}
	}
	route.Variables = slices.DeleteFunc(route.Variables, func(v Variable) bool { return declared.Variables[v.Name] == nil })
	for i, variable := range route.Variables {
		if variable.Indices {
			route.Variables[i].enum = definitions.Enumeration(declared.Variables[variable.Name].Schema)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared.Variables)) {
		if !slices.ContainsFunc(route.Variables, func(v Variable) bool { return v.Name == name }) {
			route.Variables = append(route.Variables, Variable{Name: name})
		}
	}
}

// enumsOf returns the enumerations that the legacy dialect needs for a command, nil for none.
func enumsOf(command Command, declared *schema.Command, definitions *schema.Definitions) map[string]enumeration {
	var enums map[string]enumeration
	add := func(name string, kind Kind, schema json.RawMessage) {
		if kind != Enum && kind != EnumList {
			return
		}
		if enums == nil {
			enums = make(map[string]enumeration)
		}
		enums[name] = definitions.Enumeration(schema)
	}
	for _, argument := range command.Arguments {
		definition, _ := declared.Argument(argument.Name)
		add(argument.Name, argument.Kind, definition.Schema)
	}
	add("", command.Result, declared.Result)
	return enums
}

// derive returns a command that only the interface's definition has.
func derive(id string, declared *schema.Command, definitions *schema.Definitions) Command {
	command := Command{Name: declared.Name, Function: prefixDerived + id + "." + declared.Name, Result: JSON, Derived: true}
	types := typesOf(declared.Result, definitions)
	switch {
	case slices.Equal(types, []string{"null"}):
		command.Result = Null
	case slices.Equal(types, []string{"boolean"}):
		command.Result = Boolean
	case slices.Contains(types, "null"):
		command.Unavailable = json.RawMessage("null")
	case slices.Contains(types, "boolean"):
		command.Unavailable = json.RawMessage("false")
	}
	return command
}

// typesOf returns the types that a schema allows, nil where it names none.
func typesOf(raw json.RawMessage, definitions *schema.Definitions) []string {
	// The bound ends a circle of references. Definitions nest only a few.
	for range 8 {
		var schema struct {
			Reference string          `json:"$ref"`
			Type      json.RawMessage `json:"type"`
			Enum      []any           `json:"enum"`
		}
		if json.Unmarshal(raw, &schema) != nil {
			return nil
		}
		if schema.Reference != "" {
			if referenced, known := definitions.Type(schema.Reference); known {
				raw = referenced
				continue
			}
			return nil
		}
		if len(schema.Enum) > 0 {
			return nil
		}
		var several []string
		if one := ""; json.Unmarshal(schema.Type, &one) == nil {
			several = []string{one}
		} else if json.Unmarshal(schema.Type, &several) != nil {
			return nil
		}
		return several
	}
	return nil
}
