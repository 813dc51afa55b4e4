package everesttest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// set stores a value for the next start of the manager. EVerest's manager checks neither the parameter's mutability nor
// its bounds, so a value beyond the bounds makes its next start fail.
func (m *Manager) set(request configRequest, origin *managedModule) (configAnswer, bool) {
	if m.dialect().explainsSet {
		return m.setExplained(request, origin)
	}
	rejected := func(status, info string) (configAnswer, bool) {
		return configAnswer{Status: status, StatusInfo: info, Response: map[string]any{"status": "Rejected"}}, true
	}
	identifier := request.Request.Identifier
	if identifier == nil {
		return configAnswer{}, false
	}
	if !origin.mayWrite(request.Origin, identifier.ModuleID) {
		return rejected("AccessDenied", accessDenied(request.Origin, identifier.ModuleID))
	}
	module, ok := m.modules[identifier.ModuleID]
	if !ok {
		return configAnswer{}, false
	}
	parameters, ok := module.parameters[identifier.implementation()]
	if !ok {
		return configAnswer{}, false
	}
	for _, candidate := range parameters {
		if candidate.Name != identifier.Parameter {
			continue
		}
		text := *request.Request.Value
		if reason := unparsable(text, candidate.Characteristics.Datatype); reason != "" {
			return rejected("Error", fmt.Sprintf("Could not set config entry %s of module %s: %s",
				identifier.Parameter, identifier.ModuleID, unparsed(text, candidate.Characteristics.Datatype, reason)))
		}
		m.store(*identifier, text)
		return configAnswer{Status: "Ok", Response: map[string]any{"status": "RebootRequired"}}, true
	}
	return rejected("Error", "")
}

func accessDenied(origin, module string) string {
	return "Access to config item denied: " + origin + " cannot access " + module
}

// The C++ functions that parse numbers use the beginning of a text: "4.7" is the integer 4.
var (
	leadingInteger = regexp.MustCompile(`^\s*[+-]?[0-9]+`)
	leadingNumber  = regexp.MustCompile(`^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)`)
)

// unparsable returns the name of the C++ function that rejects the text, or nothing. Booleans and strings accept any
// text.
func unparsable(text, datatype string) string {
	switch datatype {
	case "integer":
		if _, err := strconv.ParseInt(strings.TrimSpace(leadingInteger.FindString(text)), 10, 32); err != nil {
			return "stoi"
		}
	case "number":
		if !leadingNumber.MatchString(text) {
			return "stod"
		}
	}
	return ""
}

func unparsed(text, datatype, reason string) string {
	return fmt.Sprintf("Failed to parse config value '%s' as type %s: %s", text, datatype, reason)
}

func (m *Manager) store(identifier configIdentifier, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	module := m.userConfig[identifier.ModuleID]
	if module == nil {
		module = map[string]map[string]string{}
		m.userConfig[identifier.ModuleID] = module
	}
	if module[identifier.implementation()] == nil {
		module[identifier.implementation()] = map[string]string{}
	}
	module[identifier.implementation()][identifier.Parameter] = value
}

// UserConfig returns the text of a parameter that a module has set by the config service. implementation is empty for a
// parameter of the module itself.
func (m *Manager) UserConfig(module, implementation, parameter string) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.userConfig[module][configIdentifier{Implementation: implementation}.implementation()][parameter]
	return value, ok
}

// setExplained is set of a manager that explains its answer in the response too. It answers every request that has an
// identifier and a value. Until all modules are ready it rejects them all.
func (m *Manager) setExplained(request configRequest, origin *managedModule) (configAnswer, bool) {
	result := func(status, info, set, setInfo string) (configAnswer, bool) {
		return configAnswer{Status: status, StatusInfo: info, Response: map[string]any{"status": set, "status_info": setInfo}}, true
	}
	identifier := request.Request.Identifier
	if identifier == nil {
		return configAnswer{}, false
	}
	if !origin.mayWrite(request.Origin, identifier.ModuleID) {
		return result("AccessDenied", accessDenied(request.Origin, identifier.ModuleID), "Rejected", "")
	}
	if m.GlobalReadyCount() == 0 {
		return result("Ok", "", "Rejected", "")
	}
	missing := fmt.Sprintf("Config parameter %s not found in module %s", identifier.Parameter, identifier.ModuleID)
	module, ok := m.modules[identifier.ModuleID]
	if !ok {
		return result("Error", missing, "Rejected", "Unknown target module: "+identifier.ModuleID)
	}
	for _, candidate := range module.parameters[identifier.implementation()] {
		if candidate.Name != identifier.Parameter {
			continue
		}
		text, datatype := *request.Request.Value, candidate.Characteristics.Datatype
		if reason := unparsable(text, datatype); reason != "" {
			info := unparsed(text, datatype, reason)
			return result("Ok", info, "Rejected", info)
		}
		m.store(*identifier, text)
		if candidate.Characteristics.Mutability == "ReadWrite" {
			// The manager has asked the module. None here listens to it.
			return result("Ok", "Module not responding", "RebootRequired", "Module not responding")
		}
		return result("Ok", "", "RebootRequired", "")
	}
	return result("Error", missing, "Rejected", fmt.Sprintf("Unknown parameter: %s in module: %s", identifier.Parameter, identifier.ModuleID))
}

// refusalOfStranger is the answer to a module that is not in the configuration.
func refusalOfStranger(request configRequest) configAnswer {
	answer := configAnswer{Status: "Error", StatusInfo: "Unknown origin module: " + request.Origin}
	if request.Type == "Set" {
		answer.Type, answer.Response = "Set", map[string]any{"status": "Rejected", "status_info": ""}
	}
	return answer
}
