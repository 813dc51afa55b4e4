package everest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
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
	names       map[string]string // module id -> module name, in families whose answer has it
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
		Names     map[string]string `json:"module_names"`
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
		names:       fields.Names,
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

// Parameter is one configuration parameter, read from the manager's config service.
type Parameter struct {
	Name  string
	Value json.RawMessage
	// Datatype is "string", "number", "integer" or "bool".
	Datatype string
	// Mutability is "ReadOnly", "ReadWrite" or "WriteOnly".
	Mutability string
	// Unit may be empty.
	Unit string
}

// UnmarshalJSON reads the wire form.
func (p *Parameter) UnmarshalJSON(text []byte) error {
	var fields struct {
		Name            string          `json:"name"`
		Value           json.RawMessage `json:"value"`
		Characteristics struct {
			Datatype   string `json:"datatype"`
			Mutability string `json:"mutability"`
			Unit       string `json:"unit"`
		} `json:"characteristics"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	*p = Parameter{
		Name: fields.Name, Value: fields.Value,
		Datatype: fields.Characteristics.Datatype, Mutability: fields.Characteristics.Mutability, Unit: fields.Characteristics.Unit,
	}
	return nil
}

// Decode stores the value in the variable that dst points to. A whole number such as 4.0 fits an integer variable. A
// variable of another type is filled as json.Unmarshal would fill it.
func (p Parameter) Decode(dst any) error {
	target := reflect.ValueOf(dst)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("everest: parameter %q: decode into %T, which is no pointer", p.Name, dst)
	}
	if err := setParameter(target.Elem(), p.Value); err != nil {
		return fmt.Errorf("everest: parameter %q: %w", p.Name, err)
	}
	return nil
}

// decodeParameters fills the fields of a struct that have the tag everest:"name". A missing parameter is an error,
// unless the tag ends in ",optional"; the field then keeps its value.
func decodeParameters(where string, parameters []Parameter, dst any) error {
	target := reflect.ValueOf(dst)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("everest: %s: decode into %T, which is no pointer to a struct", where, dst)
	}
	target = target.Elem()
	for i := range target.NumField() {
		field := target.Type().Field(i)
		tag, tagged := field.Tag.Lookup("everest")
		if !tagged {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if !field.IsExported() || name == "" || option != "" && option != "optional" {
			return fmt.Errorf("everest: %s: field %s with the tag everest:%q cannot be filled: it must be exported, the tag a name, with \",optional\" or nothing behind it",
				where, field.Name, tag)
		}
		parameter, found := findParameter(parameters, name)
		if !found {
			if option == "optional" {
				continue
			}
			return fmt.Errorf("everest: %s: parameter %q is missing, set it in the manager's configuration file", where, name)
		}
		if err := setParameter(target.Field(i), parameter.Value); err != nil {
			return fmt.Errorf("everest: %s: parameter %q: %w", where, name, err)
		}
	}
	return nil
}

func findParameter(parameters []Parameter, name string) (Parameter, bool) {
	for _, parameter := range parameters {
		if parameter.Name == name {
			return parameter, true
		}
	}
	return Parameter{}, false
}

func setParameter(target reflect.Value, value json.RawMessage) error {
	switch {
	case target.CanInt():
		number, err := wholeNumber(value)
		if err != nil {
			return err
		}
		if target.OverflowInt(number) {
			return fmt.Errorf("%d does not fit a %s", number, target.Type())
		}
		target.SetInt(number)
		return nil
	case target.CanUint():
		number, err := wholeNumber(value)
		if err != nil {
			return err
		}
		if number < 0 || target.OverflowUint(uint64(number)) {
			return fmt.Errorf("%d does not fit a %s", number, target.Type())
		}
		target.SetUint(uint64(number))
		return nil
	}
	if rawjson.IsNull(value) {
		return errors.New("it has no value")
	}
	if err := json.Unmarshal(value, target.Addr().Interface()); err != nil {
		return fmt.Errorf("want a %s, not %.60s", target.Type(), value)
	}
	return nil
}

// wholeNumber also accepts 4.0, because the manager writes the value of a "number" in that form.
func wholeNumber(value json.RawMessage) (int64, error) {
	var number int64
	if json.Unmarshal(value, &number) == nil && !rawjson.IsNull(value) {
		return number, nil
	}
	var float float64
	if rawjson.IsNull(value) || json.Unmarshal(value, &float) != nil || float != math.Trunc(float) || math.Abs(float) > 1<<53 {
		return 0, fmt.Errorf("want a whole number, not %.60s", value)
	}
	return int64(float), nil
}
