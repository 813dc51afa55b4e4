package configfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

// ownParameters is the key of the module's own parameters, beside those of its implementations.
const ownParameters = "!module"

type parameter struct {
	Name            string            `json:"name"`
	Value           json.RawMessage   `json:"value"`
	Characteristics map[string]string `json:"characteristics"`
}

type connection struct {
	ModuleID         string `json:"module_id"`
	ImplementationID string `json:"implementation_id"`
}

type place struct {
	EVSE      int  `json:"evse"`
	Connector *int `json:"connector,omitempty"`
}

type mapping struct {
	Module          *place            `json:"module,omitempty"`
	Implementations map[string]*place `json:"implementations,omitempty"`
}

// moduleConfig returns the configuration of a module in the form of the config service's answer.
func moduleConfig(id string, own, active map[string]any, manifest *install.Manifest) (json.RawMessage, error) {
	parameters := map[string][]parameter{}
	var err error
	if parameters[ownParameters], err = readParameters(own["config_module"], manifest.Config); err != nil {
		return nil, err
	}
	ofImplementations, _ := own["config_implementation"].(map[string]any)
	for _, implementation := range manifest.ImplementationIDs() {
		parameters[implementation], err = readParameters(ofImplementations[implementation], manifest.Provides[implementation].Config)
		if err != nil {
			return nil, fmt.Errorf("implementation %s: %w", implementation, err)
		}
	}
	connections, err := readConnections(own["connections"])
	if err != nil {
		return nil, err
	}
	mappings := map[string]*mapping{}
	for _, wanted := range append(connectedTo(connections), id) {
		members, _ := active[wanted].(map[string]any)
		if mappings[wanted], err = readMapping(members); err != nil {
			return nil, fmt.Errorf("mapping of module %s: %w", wanted, err)
		}
	}
	name, _ := textOf(own["module"])
	answer := map[string]any{
		"mappings": mappings,
		"module_config": map[string]any{
			"module_id": id, "module_name": name, "configuration_parameters": parameters, "connections": connections, "mapping": mappings[id],
		},
	}
	if telemetry, _ := own["telemetry"].(map[string]any); telemetry != nil {
		number, err := wholeNumber(telemetry["id"])
		if err != nil {
			return nil, fmt.Errorf("telemetry: id: %w", err)
		}
		answer["telemetry_config"] = map[string]int{"id": number}
	}
	return json.Marshal(answer)
}

// readParameters returns the parameters that the manifest declares. Other keys are ignored, as EVerest does from 2024.6 on.
func readParameters(given any, declared map[string]install.Parameter) ([]parameter, error) {
	values, _ := given.(map[string]any)
	parameters := []parameter{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		declaration := declared[name]
		value := declaration.Default
		if chosen, present := values[name]; present {
			var err error
			if value, err = convert(chosen, declaration.Type); err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
		}
		if value == nil {
			return nil, fmt.Errorf("parameter %s is missing and has no default", name)
		}
		datatype := declaration.Type
		if datatype == "boolean" {
			datatype = "bool"
		}
		parameters = append(parameters, parameter{name, value, map[string]string{"datatype": datatype, "mutability": "ReadOnly"}})
	}
	return parameters, nil
}

var (
	integerText = regexp.MustCompile(`^[+-]?[0-9]+$`)
	numberText  = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// convert returns a value of a type of the manifest.
func convert(value any, wanted string) (json.RawMessage, error) {
	read, ok := value.(scalar)
	switch {
	case !ok:
	case wanted == "string":
		return json.Marshal(read.text)
	case read.quoted:
	case wanted == "boolean" && (read.text == "true" || read.text == "false"):
		return json.RawMessage(read.text), nil
	case wanted == "integer" && integerText.MatchString(read.text):
		number, err := strconv.ParseInt(strings.TrimPrefix(read.text, "+"), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s does not fit 32 bits", read.text)
		}
		return json.Marshal(number)
	case wanted == "number" && numberText.MatchString(read.text):
		number, err := strconv.ParseFloat(read.text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is out of range", read.text)
		}
		return json.Marshal(number)
	}
	if !ok {
		return nil, fmt.Errorf("it must be of the type %s", wanted)
	}
	return nil, fmt.Errorf("it must be of the type %s, not %.40q", wanted, read.text)
}

func wholeNumber(value any) (int, error) {
	encoded, err := convert(value, "integer")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(encoded))
}

func readConnections(value any) (map[string][]connection, error) {
	given, _ := value.(map[string]any)
	connections := map[string][]connection{}
	for requirement, list := range given {
		elements, _ := list.([]any)
		for i, element := range elements {
			members, _ := element.(map[string]any)
			module, ok := textOf(members["module_id"])
			implementation, ok2 := textOf(members["implementation_id"])
			if !ok || !ok2 {
				return nil, fmt.Errorf("connection %d of requirement %s names no module_id and implementation_id", i, requirement)
			}
			connections[requirement] = append(connections[requirement], connection{module, implementation})
		}
	}
	return connections, nil
}

func connectedTo(connections map[string][]connection) []string {
	var ids []string
	for _, list := range connections {
		for _, to := range list {
			ids = append(ids, to.ModuleID)
		}
	}
	return ids
}

// readMapping reads both spellings: evse and connector beside a mapping of implementations until 2024.9, and a mapping with
// module and implementations from 2024.10 on.
func readMapping(entry map[string]any) (*mapping, error) {
	given, _ := entry["mapping"].(map[string]any)
	module := any(entry)
	implementations := given
	newer, isNewer := given["implementations"].(map[string]any)
	ofModule, hasModule := given["module"].(map[string]any)
	if isNewer || hasModule {
		module, implementations = any(ofModule), newer
	}
	read := &mapping{}
	var err error
	if read.Module, err = readPlace(module); err != nil {
		return nil, err
	}
	for id, value := range implementations {
		position, err := readPlace(value)
		if err != nil {
			return nil, err
		}
		if position != nil {
			if read.Implementations == nil {
				read.Implementations = map[string]*place{}
			}
			read.Implementations[id] = position
		}
	}
	if read.Module == nil && read.Implementations == nil {
		return nil, nil
	}
	return read, nil
}

// readPlace returns nil where no EVSE is given.
func readPlace(value any) (*place, error) {
	members, _ := value.(map[string]any)
	if members["evse"] == nil {
		return nil, nil
	}
	evse, err := wholeNumber(members["evse"])
	if err != nil {
		return nil, fmt.Errorf("evse: %w", err)
	}
	position := &place{EVSE: evse}
	if members["connector"] != nil {
		connector, err := wholeNumber(members["connector"])
		if err != nil {
			return nil, fmt.Errorf("connector: %w", err)
		}
		position.Connector = &connector
	}
	return position, nil
}
