package everesttest

import (
	"context"
	"encoding/json"
	"maps"

	"go.uber.org/zap"
)

// configRequest is the data of a message to the config service.
type configRequest struct {
	Type    string `json:"type"`
	Origin  string `json:"origin"`
	Request struct {
		Type       string            `json:"type"`
		Identifier *configIdentifier `json:"identifier"`
		Value      *string           `json:"value"`
	} `json:"request"`
}

type configIdentifier struct {
	ModuleID       string `json:"module_id"`
	Parameter      string `json:"configuration_parameter_name"`
	Implementation string `json:"module_implementation_id"`
}

// configAnswer is the data of a reply of the config service.
type configAnswer struct {
	Status     string         `json:"status"`
	StatusInfo string         `json:"status_info"`
	Type       string         `json:"type,omitempty"`
	Response   map[string]any `json:"response"`
}

// answer replies to a request to the config service. Like EVerest's manager it ignores malformed requests and unknown
// origins.
func (m *Manager) answer(data json.RawMessage) {
	var request configRequest
	if err := json.Unmarshal(data, &request); err != nil {
		m.log.Warn("config request dropped", zap.Error(err))
		return
	}
	origin, ok := m.modules[request.Origin]
	if !ok {
		m.log.Warn("config request of a module that is not in the configuration", zap.String("origin", request.Origin))
		if m.dialect().answersStrangers {
			m.sendAnswer(request.Origin, refusalOfStranger(request))
		}
		return
	}
	var answer configAnswer
	switch {
	case request.Type == "Get":
		answer, ok = m.get(request, origin)
	case request.Type == "Set" && request.Request.Value != nil:
		answer, ok = m.set(request, origin)
	default:
		ok = false
	}
	if !ok {
		m.log.Warn("malformed config request", zap.String("origin", request.Origin), zap.ByteString("data", data))
		return
	}
	answer.Type = request.Type
	m.sendAnswer(request.Origin, answer)
}

func (m *Manager) sendAnswer(origin string, answer configAnswer) {
	m.publishAnswer("modules/"+origin+"/response", answer)
}

func (m *Manager) publishAnswer(topic string, answer any) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	if err := m.publish(ctx, topic, m.dialect().configResponse, answer); err != nil {
		m.log.Warn("config answer not sent", zap.String("topic", topic), zap.Error(err))
	}
}

func (m *Manager) get(request configRequest, origin *managedModule) (configAnswer, bool) {
	kind := request.Request.Type
	found := func(data any) (configAnswer, bool) {
		return configAnswer{Status: "Ok", Response: map[string]any{"type": kind, "data": data}}, true
	}
	failed := func(status, info string) (configAnswer, bool) {
		return configAnswer{Status: status, StatusInfo: info, Response: map[string]any{"type": kind, "data": nil}}, true
	}
	switch kind {
	case "Module":
		return found(m.moduleConfig(request.Origin, origin))
	case "All":
		all := map[string]any{}
		for id, module := range m.modules {
			if origin.mayRead(request.Origin, id) {
				all[id] = origin.shownParameters(request.Origin, id, module)
			}
		}
		return found(all)
	case "AllMappings":
		mappings := map[string]*ModuleMapping{}
		for id, module := range m.modules {
			if origin.mayRead(request.Origin, id) {
				mappings[id] = module.config.Mapping
			}
		}
		return found(mappings)
	case "Value":
		identifier := request.Request.Identifier
		if identifier == nil {
			return failed("Error", "No identifier provided")
		}
		if !origin.mayRead(request.Origin, identifier.ModuleID) {
			return failed("AccessDenied", accessDenied(request.Origin, identifier.ModuleID))
		}
		candidate, err := m.find(*identifier)
		switch {
		case err != nil:
			return failed("Error", "")
		case m.dialect().bare(): // these managers lose the value
			return configAnswer{Status: "Ok"}, true
		}
		return found(candidate)
	}
	return configAnswer{}, false
}

func (i configIdentifier) implementation() string {
	if i.Implementation == "" {
		return moduleParameters
	}
	return i.Implementation
}

// mayRead reports whether the module with the id own may read the parameters of another one.
func (m *managedModule) mayRead(own, other string) bool {
	access := m.config.Access
	return own == other || access != nil && (access.GlobalRead || access.Modules[other].Read)
}

func (m *managedModule) mayWrite(own, other string) bool {
	access := m.config.Access
	return own == other || access != nil && (access.GlobalWrite || access.Modules[other].Write)
}

// shownParameters returns another module's parameters as a request for all parameters returns them to this module: as
// ReadWrite where the access has SetReadOnly. Other requests return them unchanged.
func (m *managedModule) shownParameters(own, other string, module *managedModule) map[string][]parameter {
	access := m.config.Access
	if access == nil || !access.SetReadOnly && !access.Modules[other].SetReadOnly {
		return module.parameters
	}
	shown := maps.Clone(module.parameters)
	for implementation, parameters := range shown {
		shown[implementation] = append([]parameter{}, parameters...)
		for i := range parameters {
			if parameters[i].Characteristics.Mutability == "ReadOnly" {
				shown[implementation][i].Characteristics.Mutability = "ReadWrite"
			}
		}
	}
	return shown
}

// moduleConfig returns the reply to a module that requests its own configuration.
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

// form returns the access as it is in a configuration.
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
