package satellite

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest"
)

// functionExtra precedes "<id>.<command>" in the legacy dialect for a command that
// is not in the table of the C++ modules. No function of theirs is named so: a name
// of theirs with arguments of ours would end their process.
const functionExtra = "tunnel:"

// fitRoutes fits the route table to one board. has are the interfaces of what the
// board's manifest offers to the tunnel, by id; extras come from the configuration.
// What the board's definitions do not have is taken out of the table (commands stay,
// marked as missing), and what they have beyond it is added. The problems say what
// cannot be tunnelled, and what to do about it.
func fitRoutes(has map[string]string, definitions *everest.Definitions, extras []extra) (routes []Route, problems []string) {
	for _, route := range Routes() {
		if _, offered := has[route.ID]; !offered {
			route.Variables = nil
			for i := range route.Commands {
				route.Commands[i].missing = true
			}
		} else if declared, known := definitions.Interface(route.Interface); known {
			fitRoute(&route, declared, definitions)
		}
		routes = append(routes, route)
	}
	for _, one := range extras {
		declared, known := definitions.Interface(one.Interface)
		offered, there := has[one.ID]
		switch {
		case !there:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: the installed manifest does not have it; install again with -install PREFIX -tunnel %s", one, formatTunnel(extras)))
		case offered != one.Interface:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: in the installed manifest %s is of interface %s; install again with -install PREFIX -tunnel %s", one, one.ID, offered, formatTunnel(extras)))
		case !known:
			problems = append(problems, fmt.Sprintf("%s is not tunnelled: interface %s is not defined in share/everest/interfaces of the installation", one, one.Interface))
		default:
			route := Route{ID: one.ID, Interface: one.Interface, extra: true}
			fitRoute(&route, declared, definitions)
			routes = append(routes, route)
		}
	}
	return routes, problems
}

// fitRoute takes out and adds what the definition says otherwise.
func fitRoute(route *Route, declared *everest.Interface, definitions *everest.Definitions) {
	known := make(map[string]bool)
	for i, command := range route.Commands {
		known[command.Name] = true
		route.Commands[i].missing = declared.Commands[command.Name] == nil
	}
	for _, name := range slices.Sorted(maps.Keys(declared.Commands)) {
		if !known[name] {
			route.Commands = append(route.Commands, derive(route.ID, declared.Commands[name], definitions))
		}
	}
	route.Variables = slices.DeleteFunc(route.Variables, func(v Variable) bool { return declared.Variables[v.Name] == nil })
	for _, name := range slices.Sorted(maps.Keys(declared.Variables)) {
		if !slices.ContainsFunc(route.Variables, func(v Variable) bool { return v.Name == name }) {
			route.Variables = append(route.Variables, Variable{Name: name})
		}
	}
}

// derive makes a command's row from its definition.
func derive(id string, declared *everest.Command, definitions *everest.Definitions) Command {
	command := Command{Name: declared.Name, Function: functionExtra + id + "." + declared.Name, Result: JSON, Whole: true}
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

// typesOf returns the types that a schema allows, nil where it does not say.
func typesOf(raw json.RawMessage, definitions *everest.Definitions) []string {
	// A type that refers to another one refers on at most a few times.
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

// interfacesOf returns the interfaces of a manifest's requirements or implementations.
func interfacesOf[E any](section map[string]E, name func(E) string) map[string]string {
	interfaces := make(map[string]string, len(section))
	for id, entry := range section {
		interfaces[id] = name(entry)
	}
	return interfaces
}

func requiredInterface(r everest.ManifestRequirement) string    { return r.Interface }
func providedInterface(p everest.ManifestImplementation) string { return p.Interface }
