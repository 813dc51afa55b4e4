package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// B4 is the family of EVerest 2025.6 to 2025.10. The manager's config service is that of family C without an envelope,
// except that it loses the values of single parameters. A reply may carry an error.
var (
	stepB4a = step{
		name: "B4a", has: []Capability{Failures, ConfigService}, configRequest: "config/request", configResponse: "/response", lastTopic: "module_names",
		failureType: "event", failureText: "msg", failures: failuresB4a,
	}
	stepB4b = step{
		name: "B4b", has: []Capability{Failures, ConfigService}, configRequest: "config/request", configResponse: "/response", lastTopic: "module_names",
		failureType: "__everest__error_type", failureText: "__everest__error_msg",
	}
)

// failuresB4a are the types of errors until 2025.7 by those of later releases.
var failuresB4a = map[string]string{
	"SchemaValidationError": "SchemaValidationFailed", "MessageParsingError": "MessageParsingFailed", "CmdTimeout": "Timeout",
}

// B3 is the family of EVerest 2025.5. A module asks for its whole configuration, and for nothing else. A reply cannot
// carry an error.
//
//	modules/meter_1/get_config {"type":"full"}
//	modules/meter_1/config     {"mappings":{...},"module_config":{...}}
//
// B2, that of EVerest 2024.9.2 and of 2025.1 to 2025.4, differs in the form of the configuration. B1, that of EVerest
// 2024.11, has one retained topic for all manifests, the modules' names in the configuration, and two topics for each type
// of errors:
//
//	modules/meter_1/impl/main/error/generic/VendorError          an error that is raised
//	modules/meter_1/impl/main/error-cleared/generic/VendorError  an error that is cleared
var (
	stepB3 = step{name: "B3", configRequest: "/get_config", configResponse: "/config", moduleRequest: true, lastTopic: "module_names"}
	stepB2 = step{name: "B2", configRequest: "/get_config", configResponse: "/config", moduleRequest: true, lastTopic: "module_names"}
	stepB1 = step{
		name: "B1", configRequest: "/get_config", configResponse: "/config", moduleRequest: true, lastTopic: "module_config_cache", oneManifest: true, errorByTopic: true,
	}
)

// readWholeConfig returns an answer of the families B1 to B3 in the form of family C.
func readWholeConfig(module string, payload []byte) (json.RawMessage, error) {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(payload, &answer); err != nil {
		return nil, err
	}
	var typed struct {
		Name string `json:"module_name"`
	}
	if err := json.Unmarshal(answer["module_config"], &typed); err != nil {
		return nil, fmt.Errorf("module_config: %w", err)
	}
	if typed.Name == "" {
		if err := typeConfig(module, answer); err != nil {
			return nil, err
		}
	}
	return json.Marshal(map[string]any{
		"status": "Ok", "status_info": "", "type": "Get", "response": map[string]any{"type": "Module", "data": answer},
	})
}

// untypedConfig is the configuration of a module in the families B1 and B2.
type untypedConfig struct {
	Module      string                                `json:"module"`
	Maps        map[string]map[string]json.RawMessage `json:"config_maps"`
	Connections json.RawMessage                       `json:"connections"`
	Mapping     json.RawMessage                       `json:"mapping"`
	Telemetry   json.RawMessage                       `json:"telemetry"`
}

// typeConfig replaces the configuration of the families B1 and B2 by one with typed parameters.
func typeConfig(module string, answer map[string]json.RawMessage) error {
	var all map[string]untypedConfig
	if err := json.Unmarshal(answer["module_config"], &all); err != nil {
		return fmt.Errorf("module_config: %w", err)
	}
	config, present := all[module]
	if !present || config.Module == "" {
		return fmt.Errorf("module_config has no module %s", module)
	}
	parameters := map[string][]any{}
	for implementation, values := range config.Maps {
		parameters[implementation] = []any{}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			value, datatype := typeParameter(values[name])
			parameters[implementation] = append(parameters[implementation], map[string]any{
				"name": name, "value": value, "characteristics": map[string]string{"datatype": datatype, "mutability": "ReadOnly"},
			})
		}
	}
	typed := map[string]any{
		"module_id": module, "module_name": config.Module, "configuration_parameters": parameters,
		"connections": config.Connections, "mapping": config.Mapping,
	}
	encoded, err := json.Marshal(typed)
	if err != nil {
		return err
	}
	answer["module_config"] = encoded
	if answer["telemetry_config"] == nil && config.Telemetry != nil {
		answer["telemetry_config"] = config.Telemetry
	}
	return nil
}

// typeParameter returns the value and the datatype of a parameter. Family B2 writes both, family B1 only the value.
func typeParameter(raw json.RawMessage) (value json.RawMessage, datatype string) {
	var typed struct {
		Type  string          `json:"type"`
		Value json.RawMessage `json:"value"`
	}
	if raw[0] == '{' && json.Unmarshal(raw, &typed) == nil && typed.Value != nil {
		if typed.Type == "boolean" {
			typed.Type = "bool"
		}
		return typed.Value, typed.Type
	}
	switch raw[0] {
	case '"':
		return raw, "string"
	case 't', 'f':
		return raw, "bool"
	}
	if _, err := json.Number(raw).Int64(); err == nil {
		return raw, "integer"
	}
	return raw, "number"
}
