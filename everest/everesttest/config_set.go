package everesttest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// set stores a value for the next start of the manager. EVerest's manager checks neither the parameter's mutability nor
// its bounds, so a value beyond the bounds makes its next start fail. A manager that explains its answers answers every
// request with an identifier, and rejects all until its modules are ready. Others do not answer for an unknown module or
// implementation.
func (m *Manager) set(request configRequest, origin *managedModule) (configAnswer, bool) {
	explains := m.dialect().explainsSet
	// explained is the text of a manager that explains, in the response.
	result := func(status, info, set, explained string) (configAnswer, bool) {
		response := map[string]any{"status": set}
		if explains {
			response["status_info"] = explained
		}
		return configAnswer{Status: status, StatusInfo: info, Response: response}, true
	}
	identifier := request.Request.Identifier
	if identifier == nil {
		return configAnswer{}, false
	}
	if !origin.mayWrite(request.Origin, identifier.ModuleID) {
		return result("AccessDenied", accessDenied(request.Origin, identifier.ModuleID), "Rejected", "")
	}
	if explains && m.GlobalReadyCount() == 0 {
		return result("Ok", "", "Rejected", "")
	}
	target, found := m.find(*identifier)
	text, datatype := *request.Request.Value, target.Characteristics.Datatype
	switch reason := unparsable(text, datatype); {
	case found != nil && !explains:
		if found == errNoParameter {
			return result("Error", "", "Rejected", "")
		}
		return configAnswer{}, false
	case found != nil:
		missing := fmt.Sprintf("Config parameter %s not found in module %s", identifier.Parameter, identifier.ModuleID)
		if found == errNoModule {
			return result("Error", missing, "Rejected", "Unknown target module: "+identifier.ModuleID)
		}
		return result("Error", missing, "Rejected", fmt.Sprintf("Unknown parameter: %s in module: %s", identifier.Parameter, identifier.ModuleID))
	case reason != "" && explains:
		info := unparsed(text, datatype, reason)
		return result("Ok", info, "Rejected", info)
	case reason != "":
		return result("Error", fmt.Sprintf("Could not set config entry %s of module %s: %s",
			identifier.Parameter, identifier.ModuleID, unparsed(text, datatype, reason)), "Rejected", "")
	}
	m.store(*identifier, text)
	if explains && target.Characteristics.Mutability == "ReadWrite" {
		// The manager has asked the module. None here listens to it.
		return result("Ok", "Module not responding", "RebootRequired", "Module not responding")
	}
	return result("Ok", "", "RebootRequired", "")
}

var (
	errNoModule         = errors.New("no such module")
	errNoImplementation = errors.New("no such implementation")
	errNoParameter      = errors.New("no such parameter")
)

// find returns the parameter that a request names. The error says which part of the name there is not.
func (m *Manager) find(identifier configIdentifier) (parameter, error) {
	module, known := m.modules[identifier.ModuleID]
	if !known {
		return parameter{}, errNoModule
	}
	parameters, known := module.parameters[identifier.implementation()]
	if !known {
		return parameter{}, errNoImplementation
	}
	for _, candidate := range parameters {
		if candidate.Name == identifier.Parameter {
			return candidate, nil
		}
	}
	return parameter{}, errNoParameter
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

// refusalOfStranger is the answer to a module that is not in the configuration.
func refusalOfStranger(request configRequest) configAnswer {
	answer := configAnswer{Status: "Error", StatusInfo: "Unknown origin module: " + request.Origin}
	if request.Type == "Set" {
		answer.Type, answer.Response = "Set", map[string]any{"status": "Rejected", "status_info": ""}
	}
	return answer
}
