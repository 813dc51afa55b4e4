package everest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// moduleConfig is the module's configuration as the manager returns it.
type moduleConfig struct {
	name        string
	parameters  map[string][]Parameter // by implementation id; the module's own under "!module"
	connections map[string][]connection
	mappings    map[string]moduleMapping
	mapping     moduleMapping
	telemetryID *int
	raw         json.RawMessage
}

const ownParameters = "!module"

type connection struct {
	ModuleID         string `json:"module_id"`
	ImplementationID string `json:"implementation_id"`
}

// moduleMapping is the mapping of a module and of its implementations.
type moduleMapping struct {
	Module          *Mapping            `json:"module"`
	Implementations map[string]*Mapping `json:"implementations"`
}

// of returns the mapping that the framework reports for an implementation: its own, or else the module's.
func (m moduleMapping) of(implementation string) *Mapping {
	if own := m.Implementations[implementation]; own != nil {
		return own.clone()
	}
	return m.Module.clone()
}

// origin returns the mapping that errors of an implementation carry. It is the implementation's, with the module's
// connector where the implementation's mapping has none.
func (m moduleMapping) origin(implementation string) *Mapping {
	own := m.Implementations[implementation]
	if own == nil || m.Module == nil {
		return m.of(implementation)
	}
	overlay := own.clone()
	if overlay.Connector == nil {
		overlay.Connector = m.Module.clone().Connector
	}
	return overlay
}

func (m *Mapping) clone() *Mapping {
	if m == nil {
		return nil
	}
	copied := Mapping{EVSE: m.EVSE}
	if m.Connector != nil {
		connector := *m.Connector
		copied.Connector = &connector
	}
	return &copied
}

// String returns text such as "EVSE 1 connector 2".
func (m *Mapping) String() string {
	switch {
	case m == nil:
		return "charging station"
	case m.Connector == nil:
		return fmt.Sprintf("EVSE %d", m.EVSE)
	}
	return fmt.Sprintf("EVSE %d connector %d", m.EVSE, *m.Connector)
}

func readModuleConfig(raw json.RawMessage) (*moduleConfig, error) {
	var fields struct {
		Mappings map[string]*moduleMapping `json:"mappings"`
		Config   *struct {
			ModuleName  string                  `json:"module_name"`
			Parameters  map[string][]Parameter  `json:"configuration_parameters"`
			Connections map[string][]connection `json:"connections"`
			Mapping     *moduleMapping          `json:"mapping"`
		} `json:"module_config"`
		Telemetry *struct {
			ID int `json:"id"`
		} `json:"telemetry_config"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if fields.Config == nil {
		return nil, errors.New("no module_config")
	}
	config := &moduleConfig{
		name:        fields.Config.ModuleName,
		parameters:  fields.Config.Parameters,
		connections: fields.Config.Connections,
		mappings:    map[string]moduleMapping{},
		raw:         bytes.Clone(raw),
	}
	for id, mapping := range fields.Mappings {
		if mapping != nil {
			config.mappings[id] = *mapping
		}
	}
	if fields.Config.Mapping != nil {
		config.mapping = *fields.Config.Mapping
	}
	if fields.Telemetry != nil {
		config.telemetryID = &fields.Telemetry.ID
	}
	for requirement, list := range config.connections {
		for i, to := range list {
			if !wire.ValidLevel(to.ModuleID) || !wire.ValidLevel(to.ImplementationID) {
				return nil, fmt.Errorf("connection %d of requirement %q names no module and implementation", i, requirement)
			}
		}
	}
	return config, nil
}

// checkManifest returns an error where the configuration lacks what the manifest asks for. The manager has then read
// another manifest than the program's.
func (c *moduleConfig) checkManifest(manifest *install.Manifest) error {
	const remedy = "; is the manifest that the manager has installed another one than the program's?"
	if err := checkParameters("parameter", manifest.Config, c.parameters[ownParameters]); err != nil {
		return fmt.Errorf("%w%s", err, remedy)
	}
	for _, id := range manifest.ImplementationIDs() {
		err := checkParameters("implementation "+id+": parameter", manifest.Provides[id].Config, c.parameters[id])
		if err != nil {
			return fmt.Errorf("%w%s", err, remedy)
		}
	}
	for _, id := range manifest.RequirementIDs() {
		declared := manifest.Requires[id]
		connected := len(c.connections[id])
		if connected < declared.MinConnections || connected > declared.MaxConnections {
			return fmt.Errorf("requirement %q (interface %s) has %d connections, not %d to %d%s",
				id, declared.Interface, connected, declared.MinConnections, declared.MaxConnections, remedy)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.connections)) {
		if _, known := manifest.Requires[id]; !known {
			return fmt.Errorf("the configuration connects the requirement %q, which the manifest does not have%s", id, remedy)
		}
	}
	return nil
}

func checkParameters(what string, declared map[string]install.Parameter, given []Parameter) error {
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		parameter, found := findParameter(given, name)
		if !found {
			if declared[name].Default != nil {
				continue
			}
			return fmt.Errorf("%s %q is missing in the configuration", what, name)
		}
		if err := declared[name].CheckValue(parameter.Value); err != nil {
			return fmt.Errorf("%s %q: %w", what, name, err)
		}
	}
	return nil
}

// sameFor reports whether both configurations have the same content, whatever the order of their keys.
func (c *moduleConfig) sameFor(other *moduleConfig) bool {
	var one, two any
	if json.Unmarshal(c.raw, &one) != nil || json.Unmarshal(other.raw, &two) != nil {
		return false
	}
	a, errA := json.Marshal(one)
	b, errB := json.Marshal(two)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
