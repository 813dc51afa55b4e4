package everesttest

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest"
)

// configurationFile is the part of EVerest's configuration file that modules see.
type configurationFile struct {
	Settings struct {
		SocketPath     string `yaml:"mqtt_broker_socket_path"`
		Host           string `yaml:"mqtt_broker_host"`
		Port           int    `yaml:"mqtt_broker_port"`
		EverestPrefix  string `yaml:"mqtt_everest_prefix"`
		ExternalPrefix string `yaml:"mqtt_external_prefix"`
		ValidateSchema bool   `yaml:"validate_schema"`
	} `yaml:"settings"`
	Modules map[string]struct {
		Module               string                    `yaml:"module"`
		Standalone           bool                      `yaml:"standalone"`
		Capabilities         []string                  `yaml:"capabilities"`
		Config               map[string]any            `yaml:"config_module"`
		ImplementationConfig map[string]map[string]any `yaml:"config_implementation"`
		Connections          map[string][]struct {
			Module         string `yaml:"module_id"`
			Implementation string `yaml:"implementation_id"`
		} `yaml:"connections"`
		Mapping struct {
			Module          *placeInFile           `yaml:"module"`
			Implementations map[string]placeInFile `yaml:"implementations"`
		} `yaml:"mapping"`
	} `yaml:"active_modules"`
}

type placeInFile struct {
	EVSE      int  `yaml:"evse"`
	Connector *int `yaml:"connector"`
}

func (p placeInFile) mapping() everest.Mapping {
	return everest.Mapping{EVSE: p.EVSE, Connector: p.Connector}
}

// ReadConfiguration reads a configuration file of EVerest's manager: the modules, their connections and mappings, and
// the broker. ReadConfiguration calls manifest with the name of a module to get the content of its manifest.yaml. Other
// parts, such as access rights, are ignored.
func ReadConfiguration(file []byte, manifest func(module string) ([]byte, error)) (ManagerConfig, error) {
	var read configurationFile
	if err := yaml.Unmarshal(file, &read); err != nil {
		return ManagerConfig{}, fmt.Errorf("everesttest: cannot parse the configuration: %w", err)
	}
	config := ManagerConfig{
		Broker:         everest.Broker{SocketPath: read.Settings.SocketPath, Host: read.Settings.Host, Port: read.Settings.Port},
		EverestPrefix:  read.Settings.EverestPrefix,
		ExternalPrefix: read.Settings.ExternalPrefix,
		Settings:       Settings{ValidateSchema: read.Settings.ValidateSchema},
		Modules:        map[string]ModuleConfig{},
	}
	for _, id := range slices.Sorted(maps.Keys(read.Modules)) {
		module := read.Modules[id]
		content, err := manifest(module.Module)
		if err != nil {
			return ManagerConfig{}, fmt.Errorf("everesttest: no manifest for module %s of id %s: %w", module.Module, id, err)
		}
		made := ModuleConfig{
			Module: module.Module, Manifest: content, Standalone: module.Standalone, Capabilities: module.Capabilities,
			Config: module.Config, ImplementationConfig: module.ImplementationConfig,
			Connections: map[string][]Connection{},
		}
		for requirement, connections := range module.Connections {
			for _, connection := range connections {
				made.Connections[requirement] = append(made.Connections[requirement],
					Connection{ModuleID: connection.Module, ImplementationID: connection.Implementation})
			}
		}
		if place := module.Mapping; place.Module != nil || len(place.Implementations) > 0 {
			made.Mapping = &ModuleMapping{Implementations: map[string]everest.Mapping{}}
			if place.Module != nil {
				mapping := place.Module.mapping()
				made.Mapping.Module = &mapping
			}
			for implementation, where := range place.Implementations {
				made.Mapping.Implementations[implementation] = where.mapping()
			}
		}
		config.Modules[id] = made
	}
	return config, nil
}
