package everesttest

import "maps"

// moduleConfig is the answer to a module that asks for its own configuration.
func (m *Manager) moduleConfig(id string, module *managedModule) map[string]any {
	mappings := map[string]*ModuleMapping{id: module.config.Mapping}
	connections := map[string]any{}
	for requirement, providers := range module.config.Connections {
		if len(providers) == 0 {
			continue
		}
		list := make([]any, len(providers))
		for i, provider := range providers {
			mappings[provider.ModuleID] = m.modules[provider.ModuleID].config.Mapping
			list[i] = map[string]any{
				"module_id": provider.ModuleID, "implementation_id": provider.ImplementationID, "requirement": map[string]string{"id": requirement},
			}
		}
		connections[requirement] = list
	}
	config := map[string]any{
		"module_id": id, "module_name": module.config.Module, "standalone": module.config.Standalone, "access": module.config.Access.form(),
		"configuration_parameters": module.parameters, "connections": connections, "mapping": module.config.Mapping,
		"telemetry_enabled": false,
	}
	data := map[string]any{"mappings": mappings, "module_config": config}
	if module.config.Telemetry != nil {
		telemetry := map[string]int{"id": *module.config.Telemetry}
		config["telemetry_config"], data["telemetry_config"] = telemetry, telemetry
	}
	if module.config.Capabilities != nil {
		config["capabilities"] = module.config.Capabilities
	}
	return data
}

// form is the access as it stands in the configuration.
func (a *Access) form() any {
	if a == nil {
		return nil
	}
	modules := map[string]any{}
	for id, access := range maps.All(a.Modules) {
		modules[id] = map[string]bool{"allow_read": access.Read, "allow_write": access.Write, "allow_set_read_only": access.SetReadOnly}
	}
	return map[string]any{"config": map[string]any{
		"allow_global_read": a.GlobalRead, "allow_global_write": a.GlobalWrite, "allow_set_read_only": a.SetReadOnly, "modules": modules,
	}}
}
