package everesttest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

// This file has what the managers of EVerest 2024.11 to 2025.10 say. Their messages have no envelopes.

// bareStartTopics returns the retained topics in the order of these managers.
func (m *Manager) bareStartTopics(add func(name string, data any)) {
	family := m.family()
	old := family == "B1" || family == "B2"
	manifests, names := map[string]*install.Manifest{}, map[string]string{}
	for id, module := range m.modules {
		manifests[module.config.Module] = module.manifest
		names[id] = module.config.Module
	}
	sorted := slices.Sorted(maps.Keys(manifests))
	if old {
		provides := map[string]map[string]string{}
		for _, name := range sorted {
			provides[name] = map[string]string{}
			for id, implementation := range manifests[name].Provides {
				provides[name][id] = implementation.Interface
			}
		}
		add("module_provides", provides)
	}
	settings := m.settings()
	if !strings.HasPrefix(family, "B4") {
		delete(settings, "forward_exceptions")
	}
	add("settings", settings)
	if old || m.config.Settings.ValidateSchema {
		add("schemas", documentSchemas())
	}
	if family == "B1" {
		all := map[string]any{}
		for _, name := range sorted {
			form := manifestForm(manifests[name])
			form["config"] = configForm(manifests[name].Config)
			all[name] = form
		}
		add("manifests", all)
	} else {
		for _, name := range sorted {
			add("manifests/"+name, manifestForm(manifests[name]))
		}
	}
	if old {
		add("error_types_map", m.errorTypes())
		add("module_config_cache", m.configCache(manifests))
	}
	if family != "B1" {
		add("module_names", names)
	}
}

func (m *Manager) errorTypes() map[string]string {
	types := map[string]string{}
	for _, name := range m.config.Definitions.InterfaceNames() {
		definition, _ := m.config.Definitions.Interface(name)
		for _, errorType := range definition.ErrorTypes {
			types[errorType] = m.config.Definitions.ErrorDescription(errorType)
		}
	}
	return types
}

func (m *Manager) configCache(manifests map[string]*install.Manifest) map[string]any {
	cache := map[string]any{}
	for name, manifest := range manifests {
		commands := map[string]any{}
		for id, implementation := range manifest.Provides {
			definition, _ := m.config.Definitions.Interface(implementation.Interface)
			commands[id] = interfaceForm(m.config.Definitions, definition)["cmds"]
		}
		cache[name] = map[string]any{"provides_impl": manifest.ImplementationIDs(), "cmds": commands}
	}
	return cache
}

// bareConfig returns the answer to a module of the families B1 to B3 that asks for its configuration.
func (m *Manager) bareConfig(id string, module *managedModule) map[string]any {
	answer := m.moduleConfig(id, module)
	config := answer["module_config"].(map[string]any)
	if m.family() == "B3" {
		delete(config, "access")
		parameters := map[string][]parameter{}
		for implementation, list := range module.parameters {
			parameters[implementation] = slices.Clone(list)
			for i := range list {
				parameters[implementation][i].Characteristics.Mutability = "ReadOnly"
			}
		}
		config["configuration_parameters"] = parameters
		return answer
	}
	configMaps := map[string]any{}
	for implementation, list := range module.parameters {
		var values map[string]any // null without parameters
		for _, parameter := range list {
			if values == nil {
				values = map[string]any{}
			}
			values[parameter.Name] = m.untyped(parameter)
		}
		configMaps[implementation] = values
	}
	connections := map[string]any{}
	for requirement, providers := range module.config.Connections {
		var list []any
		for _, provider := range providers {
			provided := m.modules[provider.ModuleID].manifest.Provides[provider.ImplementationID].Interface
			list = append(list, map[string]any{
				"module_id": provider.ModuleID, "implementation_id": provider.ImplementationID,
				"provides": map[string]string{"interface": provided}, "required_interface": provided,
			})
		}
		if list != nil {
			connections[requirement] = list
		}
	}
	var mapping any = map[string]any{}
	if module.config.Mapping != nil {
		mapping = module.config.Mapping
	}
	answer["module_config"] = map[string]any{id: map[string]any{
		"module": module.config.Module, "config_maps": configMaps, "connections": connections, "mapping": mapping,
		"config_module": module.config.Config, "config_implementation": module.config.ImplementationConfig,
	}}
	if m.family() == "B1" {
		names := map[string]string{}
		for id, module := range m.modules {
			names[id] = module.config.Module
		}
		answer["module_names"] = names
	}
	return answer
}

// untyped returns a parameter as the families B1 and B2 write it. They write a number without a fraction as an integer.
func (m *Manager) untyped(p parameter) any {
	value := json.RawMessage(strings.TrimSuffix(string(p.Value), ".0"))
	if p.Characteristics.Datatype == "string" {
		value = p.Value
	}
	if m.family() == "B1" {
		return value
	}
	datatype := p.Characteristics.Datatype
	if datatype == "bool" {
		datatype = "boolean"
	}
	return map[string]any{"value": value, "type": datatype}
}

// receiveBare handles one message to a manager without envelopes. A ready that is JSON and no boolean ends it, text that
// is no JSON does not.
func (m *Manager) receiveBare(topic, id, kind string, payload []byte) error {
	if !json.Valid(payload) {
		return errNotJSON
	}
	switch topic := strings.TrimPrefix(topic, "modules/"); {
	case m.dialect().clearsErrors && topic == clearTopic:
		return m.clearError(payload)
	case m.dialect().clearsErrors && strings.Contains(topic, "/error/"):
		return m.receiveError(topic, payload)
	}
	switch {
	case kind == "ready":
		var ready bool
		if json.Unmarshal(payload, &ready) != nil {
			return ErrPoisoned
		}
		m.takeReady(id, payload)
	case topic == "config/request":
		m.answer(payload)
	case kind == "get_config":
		var request struct{ Type string }
		if json.Unmarshal(payload, &request) == nil && request.Type == "full" {
			m.publishAnswer("modules/"+id+"/config", m.bareConfig(id, m.modules[id]))
		}
	}
	return nil
}
