package everesttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// managedModule is a module of a configuration that has passed checkConfig.
type managedModule struct {
	config     ModuleConfig
	manifest   *install.Manifest
	parameters map[string][]parameter
}

// parameter is a configuration parameter as it is sent to modules.
type parameter struct {
	Name            string          `json:"name"`
	Value           json.RawMessage `json:"value"`
	Characteristics characteristics `json:"characteristics"`
}

type characteristics struct {
	Datatype   string `json:"datatype"`
	Mutability string `json:"mutability"`
	Unit       string `json:"unit,omitempty"`
}

// moduleParameters is the key of the module's own parameters, beside those of its implementations.
const moduleParameters = "!module"

var moduleIDPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]*$`)

// checkConfig rejects what EVerest's manager rejects. It also rejects a configuration key that the manifest lacks,
// which EVerest's manager only logs. The error is the first in the order of the module ids.
func checkConfig(config ManagerConfig) (map[string]*managedModule, error) {
	modules := map[string]*managedModule{}
	if len(config.Modules) == 0 {
		return nil, fmt.Errorf("the configuration has no modules")
	}
	manifests, err := readManifests(config)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(config.Modules)) {
		module := &managedModule{config: config.Modules[id], manifest: manifests[config.Modules[id].Module].parsed}
		module.config.Manifest = manifests[module.config.Module].content
		if module.parameters, err = moduleConfiguration(module.config, module.manifest); err != nil {
			return nil, fmt.Errorf("module %s (%s): %w", id, module.config.Module, err)
		}
		for _, implementation := range module.manifest.ImplementationIDs() {
			if name := module.manifest.Provides[implementation].Interface; !known(config.Definitions, name) {
				return nil, fmt.Errorf("module %s (%s): implementation %s provides interface %s, which is not defined", id, module.config.Module, implementation, name)
			}
		}
		modules[id] = module
	}
	for _, id := range slices.Sorted(maps.Keys(modules)) {
		if err := checkConnections(id, modules); err != nil {
			return nil, fmt.Errorf("module %s (%s): %w", id, modules[id].config.Module, err)
		}
	}
	return modules, nil
}

func known(definitions *schema.Definitions, interfaceName string) bool {
	_, ok := definitions.Interface(interfaceName)
	return ok
}

type manifestOfModule struct {
	content []byte
	parsed  *install.Manifest
}

// readManifests returns the manifest of each module name.
func readManifests(config ManagerConfig) (map[string]manifestOfModule, error) {
	manifests := map[string]manifestOfModule{}
	for _, id := range slices.Sorted(maps.Keys(config.Modules)) {
		module := config.Modules[id]
		if !moduleIDPattern.MatchString(id) {
			return nil, fmt.Errorf("module id %q must start with a letter and have only letters, digits and _ . -", id)
		}
		if module.Module == "" {
			return nil, fmt.Errorf("module %s: the name of its module is missing", id)
		}
		if len(module.Manifest) == 0 {
			continue
		}
		present, twice := manifests[module.Module]
		if twice && !bytes.Equal(present.content, module.Manifest) {
			return nil, fmt.Errorf("module %s: %s has another manifest elsewhere in the configuration", id, module.Module)
		}
		parsed, err := install.ParseManifest(module.Manifest)
		if err != nil {
			return nil, fmt.Errorf("module %s (%s): %w", id, module.Module, err)
		}
		manifests[module.Module] = manifestOfModule{module.Manifest, parsed}
	}
	for _, id := range slices.Sorted(maps.Keys(config.Modules)) {
		if name := config.Modules[id].Module; manifests[name].parsed == nil {
			return nil, fmt.Errorf("module %s: there is no manifest of module %s", id, name)
		}
	}
	return manifests, nil
}

func checkConnections(id string, modules map[string]*managedModule) error {
	module := modules[id]
	for _, requirement := range slices.Sorted(maps.Keys(module.config.Connections)) {
		if _, declared := module.manifest.Requires[requirement]; !declared {
			return fmt.Errorf("connection %s is not a requirement of the manifest, which has: %s", requirement, orNone(module.manifest.RequirementIDs()))
		}
	}
	for _, requirement := range module.manifest.RequirementIDs() {
		declared, connections := module.manifest.Requires[requirement], module.config.Connections[requirement]
		if len(connections) < declared.MinConnections || len(connections) > declared.MaxConnections {
			return fmt.Errorf("requirement %s has %d connections, the manifest asks for %d to %d", requirement, len(connections), declared.MinConnections, declared.MaxConnections)
		}
		for _, connection := range connections {
			provider, ok := modules[connection.ModuleID]
			if !ok {
				return fmt.Errorf("requirement %s is connected to module %s, which is not in the configuration", requirement, connection.ModuleID)
			}
			provided, ok := provider.manifest.Provides[connection.ImplementationID]
			if !ok {
				return fmt.Errorf("requirement %s is connected to implementation %s of module %s, which has: %s", requirement,
					connection.ImplementationID, connection.ModuleID, orNone(provider.manifest.ImplementationIDs()))
			}
			if provided.Interface != declared.Interface {
				return fmt.Errorf("requirement %s needs interface %s, but implementation %s of module %s provides %s", requirement,
					declared.Interface, connection.ImplementationID, connection.ModuleID, provided.Interface)
			}
		}
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// moduleConfiguration returns the parameters of a module and of its implementations.
func moduleConfiguration(config ModuleConfig, manifest *install.Manifest) (map[string][]parameter, error) {
	own, err := fillParameters(config.Config, manifest.Config)
	if err != nil {
		return nil, err
	}
	parameters := map[string][]parameter{moduleParameters: own}
	for _, implementation := range manifest.ImplementationIDs() {
		filled, err := fillParameters(config.ImplementationConfig[implementation], manifest.Provides[implementation].Config)
		if err != nil {
			return nil, fmt.Errorf("implementation %s: %w", implementation, err)
		}
		parameters[implementation] = filled
	}
	for _, implementation := range slices.Sorted(maps.Keys(config.ImplementationConfig)) {
		if _, provided := manifest.Provides[implementation]; !provided {
			return nil, fmt.Errorf("there is a configuration for implementation %s, the module has: %s", implementation, orNone(manifest.ImplementationIDs()))
		}
	}
	return parameters, nil
}

func fillParameters(given map[string]any, declared map[string]install.Parameter) ([]parameter, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := declared[name]; !ok {
			return nil, fmt.Errorf("config key %s is not in the manifest, which has: %s", name, orNone(slices.Sorted(maps.Keys(declared))))
		}
	}
	parameters := []parameter{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		declaration := declared[name]
		value, err := parameterValue(given, name, declaration)
		if err != nil {
			return nil, err
		}
		datatype := declaration.Type
		if datatype == "boolean" {
			datatype = "bool"
		}
		parameters = append(parameters, parameter{name, value, characteristics{datatype, declaration.Mutability, declaration.Unit}})
	}
	return parameters, nil
}

func parameterValue(given map[string]any, name string, declaration install.Parameter) (json.RawMessage, error) {
	value := declaration.Default
	if chosen, ok := given[name]; ok {
		encoded, err := json.Marshal(chosen)
		if err != nil {
			return nil, fmt.Errorf("config key %s: %w", name, err)
		}
		value = encoded
	}
	if value == nil {
		return nil, fmt.Errorf("config key %s is missing and has no default", name)
	}
	if err := declaration.CheckValue(value); err != nil {
		return nil, fmt.Errorf("config key %s: %w", name, err)
	}
	// EVerest's manager always writes a number with a fraction.
	if declaration.Type == "number" && !bytes.ContainsAny(value, ".eE") {
		value = append(bytes.Clone(value), ".0"...)
	}
	return value, nil
}
