package everesttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// startTopic is a retained topic that a manager publishes when it starts.
type startTopic struct {
	name    string
	payload []byte
}

// startTopics returns the retained topics in the order of EVerest's manager.
func (m *Manager) startTopics() ([]startTopic, error) {
	var topics []startTopic
	var failed error
	add := func(name string, data any) {
		payload, err := m.dialect().wrap(m.dialect().configResponse, data)
		if err != nil && failed == nil {
			failed = fmt.Errorf("everesttest: topic %s: %w", name, err)
		}
		topics = append(topics, startTopic{m.prefix + name, payload})
	}
	interfaces := m.providedInterfaces()
	add("interfaces", interfaces)
	for _, name := range interfaces {
		definition, _ := m.config.Definitions.Interface(name)
		add("interface_definitions/"+name, interfaceForm(m.config.Definitions, definition))
	}
	files := map[string]map[string]json.RawMessage{}
	if m.config.Settings.ValidateSchema {
		files = typeFiles(m.config.Definitions)
	}
	add("types", append([]string{}, slices.Sorted(maps.Keys(files))...))
	for _, file := range slices.Sorted(maps.Keys(files)) {
		add("type_definitions"+file, files[file])
	}
	if m.dialect().bare() {
		m.bareStartTopics(add)
		return topics, failed
	}
	add("settings", m.settings())
	if m.config.Settings.ValidateSchema {
		add("schemas", documentSchemas())
	}
	manifests, names := map[string]*install.Manifest{}, map[string]string{}
	for id, module := range m.modules {
		manifests[module.config.Module] = module.manifest
		names[id] = module.config.Module
	}
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		add("manifests/"+name, manifestForm(manifests[name]))
	}
	add("module_names", names)
	return topics, failed
}

// providedInterfaces returns the interfaces that the modules provide, sorted.
func (m *Manager) providedInterfaces() []string {
	provided := map[string]bool{}
	for _, module := range m.modules {
		for _, implementation := range module.manifest.Provides {
			provided[implementation.Interface] = true
		}
	}
	return append([]string{}, slices.Sorted(maps.Keys(provided))...)
}

func (m *Manager) settings() map[string]any {
	s := m.config.Settings
	return map[string]any{
		"prefix": s.Prefix, "data_dir": s.DataDir, "etc_dir": s.EtcDir, "modules_dir": s.ModulesDir,
		"forward_exceptions": s.ForwardExceptions, "validate_schema": s.ValidateSchema,
		"telemetry_enabled": s.TelemetryEnabled, "telemetry_prefix": s.TelemetryPrefix,
	}
}

// wrap puts data into an envelope, if the family has one.
func (d dialect) wrap(messageType string, data any) ([]byte, error) {
	if d.bare() {
		return json.Marshal(data)
	}
	return json.Marshal(map[string]any{"msg_type": messageType, "data": data})
}

// interfaceForm returns an interface as the manager publishes it: without descriptions, with defaults, with expanded
// errors.
func interfaceForm(definitions *schema.Definitions, definition *schema.Interface) map[string]any {
	commands := map[string]any{}
	for name, command := range definition.Commands {
		arguments := map[string]any{}
		for _, argument := range command.Arguments {
			arguments[argument.Name] = withoutDescription(argument.Schema)
		}
		commands[name] = map[string]any{"arguments": arguments, "result": withoutDescription(command.Result)}
	}
	variables := map[string]any{}
	for name, variable := range definition.Variables {
		form := withoutDescription(variable.Schema)
		form["qos"] = variable.QoS
		variables[name] = form
	}
	errorTypes := map[string]map[string]any{}
	for _, errorType := range definition.ErrorTypes {
		namespace, name, _ := strings.Cut(errorType, "/")
		if errorTypes[namespace] == nil {
			errorTypes[namespace] = map[string]any{}
		}
		errorTypes[namespace][name] = map[string]string{
			"name": name, "namespace": namespace, "description": definitions.ErrorDescription(errorType),
		}
	}
	return map[string]any{"cmds": commands, "vars": variables, "errors": errorTypes}
}

func withoutDescription(schema json.RawMessage) map[string]any {
	members := map[string]json.RawMessage{}
	// The error is nil: definitions contain valid JSON.
	_ = json.Unmarshal(schema, &members)
	form := map[string]any{}
	for key, value := range members {
		if key != "description" {
			form[key] = value
		}
	}
	return form
}

// typeFiles returns the types by their file. The name of a file begins with a slash.
func typeFiles(definitions *schema.Definitions) map[string]map[string]json.RawMessage {
	files := map[string]map[string]json.RawMessage{}
	for _, reference := range definitions.TypeNames() {
		file, name, _ := strings.Cut(reference, "#/")
		if files[file] == nil {
			files[file] = map[string]json.RawMessage{}
		}
		files[file][name], _ = definitions.Type(reference)
	}
	return files
}

// documentSchemas returns the schemas of definition files. No module is known to use them, so they are minimal.
func documentSchemas() map[string]any {
	schemas := map[string]any{}
	for _, name := range []string{"config", "manifest", "interface", "type", "error_declaration_list"} {
		schemas[name] = map[string]any{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
	}
	return schemas
}

// manifestForm returns a manifest as the manager publishes it: with defaults, without the module's own parameters.
func manifestForm(manifest *install.Manifest) map[string]any {
	provides := map[string]any{}
	for id, implementation := range manifest.Provides {
		provides[id] = map[string]any{
			"interface": implementation.Interface, "description": implementation.Description, "config": configForm(implementation.Config),
		}
	}
	requires := map[string]any{}
	for id, requirement := range manifest.Requires {
		form := map[string]any{
			"interface": requirement.Interface, "min_connections": requirement.MinConnections, "max_connections": requirement.MaxConnections,
		}
		if requirement.IgnoreErrors || len(requirement.IgnoreVariables) > 0 {
			form["ignore"] = map[string]any{"errors": requirement.IgnoreErrors, "vars": append([]string{}, requirement.IgnoreVariables...)}
		}
		requires[id] = form
	}
	return map[string]any{
		"description": manifest.Description, "provides": provides, "requires": requires,
		"metadata":             map[string]any{"license": manifest.License, "authors": manifest.Authors},
		"enable_external_mqtt": manifest.EnableExternalMQTT, "enable_telemetry": manifest.EnableTelemetry,
		"enable_global_errors": manifest.EnableGlobalErrors,
	}
}

func configForm(declared map[string]install.Parameter) map[string]any {
	config := map[string]any{}
	for name, parameter := range declared {
		form := map[string]any{"description": parameter.Description, "type": parameter.Type, "mutability": parameter.Mutability}
		if parameter.Default != nil {
			form["default"] = parameter.Default
		}
		if parameter.Unit != "" {
			form["unit"] = parameter.Unit
		}
		config[name] = form
	}
	return config
}
