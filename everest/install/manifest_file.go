package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// manifestFile has the structure of a manifest.yaml.
type manifestFile struct {
	Description string                            `json:"description"`
	Metadata    *manifestMetadata                 `json:"metadata"`
	Config      map[string]manifestParameterFile  `json:"config"`
	Provides    map[string]manifestImplementation `json:"provides"`
	Requires    map[string]manifestRequirement    `json:"requires"`

	EnableExternalMQTT bool `json:"enable_external_mqtt"`
	EnableTelemetry    bool `json:"enable_telemetry"`
	EnableGlobalErrors bool `json:"enable_global_errors"`
}

type manifestMetadata struct {
	License string   `json:"license"`
	Authors []string `json:"authors"`
}

type manifestParameterFile struct {
	Description string          `json:"description"`
	Type        string          `json:"type"`
	Default     json.RawMessage `json:"default"`
	Mutability  string          `json:"mutability"`
	Unit        string          `json:"unit"`

	Minimum *float64          `json:"minimum"`
	Maximum *float64          `json:"maximum"`
	Enum    []json.RawMessage `json:"enum"`
}

type manifestImplementation struct {
	Interface   string
	Description string
	Config      map[string]manifestParameterFile
	// others holds the keys that the module's author added.
	others map[string]json.RawMessage
}

type manifestRequirement struct {
	Interface      string         `json:"interface"`
	MinConnections *int           `json:"min_connections"`
	MaxConnections *int           `json:"max_connections"`
	Ignore         manifestIgnore `json:"ignore"`
}

type manifestIgnore struct {
	Variables []string
	Errors    bool
}

// UnmarshalJSON accepts unknown keys, as the manager does.
func (m *manifestMetadata) UnmarshalJSON(text []byte) error {
	type lenient manifestMetadata
	return json.Unmarshal(text, (*lenient)(m))
}

// UnmarshalJSON accepts unknown keys, because a parameter is declared by a JSON schema with any keywords.
func (p *manifestParameterFile) UnmarshalJSON(text []byte) error {
	type lenient manifestParameterFile
	return json.Unmarshal(text, (*lenient)(p))
}

// UnmarshalJSON keeps unknown keys in others.
func (i *manifestImplementation) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &i.others); err != nil {
		return err
	}
	for name, into := range map[string]any{"interface": &i.Interface, "description": &i.Description, "config": &i.Config} {
		if value, given := i.others[name]; given {
			if err := json.Unmarshal(value, into); err != nil {
				return err
			}
			delete(i.others, name)
		}
	}
	return nil
}

// UnmarshalJSON accepts unknown keys, and a single variable's name instead of a list.
func (i *manifestIgnore) UnmarshalJSON(text []byte) error {
	var fields struct {
		Variables json.RawMessage `json:"vars"`
		Errors    bool            `json:"errors"`
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	i.Errors = fields.Errors
	if rawjson.IsNull(fields.Variables) {
		return nil
	}
	if fields.Variables[0] == '"' {
		i.Variables = make([]string, 1)
		return json.Unmarshal(fields.Variables, &i.Variables[0])
	}
	return json.Unmarshal(fields.Variables, &i.Variables)
}

// manifestName matches the names that the manager accepts for parameters, implementations, requirements and interfaces.
var manifestName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.-]*$`)

func checkName(where, name string) error {
	if !manifestName.MatchString(name) {
		return fmt.Errorf("%s: the name %q must start with a letter or _ and have only letters, digits and _ . -", where, name)
	}
	return nil
}

func checkInterface(where, name string) error {
	if name == "" {
		return fmt.Errorf("%s.interface is missing", where)
	}
	if len(name) < 3 {
		return fmt.Errorf("%s.interface %q must have at least 3 characters", where, name)
	}
	return checkName(where+".interface", name)
}

// checkOthers returns an error for a key in others that the manager rejects.
func (i manifestImplementation) checkOthers(where string) error {
	for _, name := range slices.Sorted(maps.Keys(i.others)) {
		reserved := name == "vars" || strings.HasPrefix(name, "interface") || strings.HasPrefix(name, "config") || strings.HasPrefix(name, "cmds")
		if value := i.others[name]; reserved || !manifestName.MatchString(name) || value[0] == '{' || value[0] == '[' {
			return fmt.Errorf("%s.%s is neither interface, description nor config, and no plain value of the author's own", where, name)
		}
	}
	return nil
}

func (f manifestFile) manifest() (*Manifest, error) {
	if err := checkDescription("description", f.Description); err != nil {
		return nil, err
	}
	if f.Metadata == nil || !strings.Contains(f.Metadata.License, "://") {
		return nil, fmt.Errorf("metadata.license must be a URI")
	}
	if len(f.Metadata.Authors) == 0 {
		return nil, fmt.Errorf("metadata.authors must name somebody")
	}
	for _, author := range f.Metadata.Authors {
		if len(author) < 2 {
			return nil, fmt.Errorf("metadata.authors: %q must have at least 2 characters", author)
		}
	}
	if f.Provides != nil && len(f.Provides) == 0 {
		return nil, fmt.Errorf("provides is empty: leave it out, or name an implementation")
	}
	manifest := &Manifest{
		Description: f.Description, License: f.Metadata.License, Authors: f.Metadata.Authors,
		Provides: map[string]Implementation{}, Requires: map[string]Requirement{},
		EnableExternalMQTT: f.EnableExternalMQTT, EnableTelemetry: f.EnableTelemetry, EnableGlobalErrors: f.EnableGlobalErrors,
	}
	var err error
	if manifest.Config, err = manifestParameters("config", f.Config); err != nil {
		return nil, err
	}
	for id, provided := range f.Provides {
		where := "provides." + id
		if err := checkName("provides", id); err != nil {
			return nil, err
		}
		if err := checkInterface(where, provided.Interface); err != nil {
			return nil, err
		}
		if err := checkDescription(where+".description", provided.Description); err != nil {
			return nil, err
		}
		if err := provided.checkOthers(where); err != nil {
			return nil, err
		}
		config, err := manifestParameters(where+".config", provided.Config)
		if err != nil {
			return nil, err
		}
		manifest.Provides[id] = Implementation{Interface: provided.Interface, Description: provided.Description, Config: config}
	}
	for id, required := range f.Requires {
		if err := checkName("requires", id); err != nil {
			return nil, err
		}
		requirement, err := required.requirement("requires." + id)
		if err != nil {
			return nil, err
		}
		manifest.Requires[id] = requirement
	}
	return manifest, nil
}

func (r manifestRequirement) requirement(where string) (Requirement, error) {
	requirement := Requirement{
		Interface: r.Interface, MinConnections: 1, MaxConnections: 1,
		IgnoreErrors: r.Ignore.Errors, IgnoreVariables: r.Ignore.Variables,
	}
	if r.MinConnections != nil {
		requirement.MinConnections = *r.MinConnections
	}
	if r.MaxConnections != nil {
		requirement.MaxConnections = *r.MaxConnections
	}
	if err := checkInterface(where, r.Interface); err != nil {
		return requirement, err
	}
	switch {
	case requirement.MinConnections < 0:
		return requirement, fmt.Errorf("%s.min_connections is %d, it must not be below 0", where, requirement.MinConnections)
	case requirement.MaxConnections < 1:
		return requirement, fmt.Errorf("%s.max_connections is %d, it must not be below 1", where, requirement.MaxConnections)
	case requirement.MaxConnections < requirement.MinConnections:
		return requirement, fmt.Errorf("%s.max_connections is %d, below its min_connections %d", where, requirement.MaxConnections, requirement.MinConnections)
	}
	return requirement, nil
}

func manifestParameters(where string, files map[string]manifestParameterFile) (map[string]Parameter, error) {
	parameters := map[string]Parameter{}
	for name, file := range files {
		place := where + "." + name
		if err := checkName(where, name); err != nil {
			return nil, err
		}
		if err := checkDescription(place+".description", file.Description); err != nil {
			return nil, err
		}
		parameter := Parameter{
			Description: file.Description, Type: file.Type, Mutability: file.Mutability,
			Unit: file.Unit, Minimum: file.Minimum, Maximum: file.Maximum, Enum: file.Enum,
		}
		switch parameter.Mutability {
		case "":
			parameter.Mutability = "ReadOnly"
		case "ReadOnly", "ReadWrite", "WriteOnly":
		default:
			return nil, fmt.Errorf("%s.mutability is %q, it can be ReadOnly, ReadWrite or WriteOnly", place, file.Mutability)
		}
		switch file.Type {
		case "boolean", "integer", "number", "string":
		default:
			return nil, fmt.Errorf("%s.type is %q, it can be boolean, integer, number or string", place, file.Type)
		}
		if file.Default != nil {
			if err := parameter.CheckValue(file.Default); err != nil {
				return nil, fmt.Errorf("%s.default: %w", place, err)
			}
			parameter.Default = file.Default
		}
		parameters[name] = parameter
	}
	return parameters, nil
}

// CheckValue returns an error unless the value has the parameter's type, is within its bounds and is one of its
// enumerated values. An integer is also accepted for a parameter of type "number".
func (p Parameter) CheckValue(value json.RawMessage) error {
	var err error
	switch p.Type {
	case "boolean":
		err = json.Unmarshal(value, new(bool))
	case "integer":
		err = json.Unmarshal(value, new(int64))
	case "number":
		err = json.Unmarshal(value, new(float64))
	case "string":
		err = json.Unmarshal(value, new(string))
	}
	if err != nil || rawjson.IsNull(value) {
		return fmt.Errorf("%s is no %s", value, p.Type)
	}
	return p.checkRange(value)
}

func (p Parameter) checkRange(value json.RawMessage) error {
	if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(allowed json.RawMessage) bool { return bytes.Equal(allowed, value) }) {
		return fmt.Errorf("%s is none of %s", value, bytes.Join(asByteSlices(p.Enum), []byte(", ")))
	}
	var number float64
	if json.Unmarshal(value, &number) != nil {
		return nil
	}
	if p.Minimum != nil && number < *p.Minimum {
		return fmt.Errorf("%s is below the minimum %v", value, *p.Minimum)
	}
	if p.Maximum != nil && number > *p.Maximum {
		return fmt.Errorf("%s is above the maximum %v", value, *p.Maximum)
	}
	return nil
}

func asByteSlices(values []json.RawMessage) [][]byte {
	converted := make([][]byte, len(values))
	for i, value := range values {
		converted[i] = value
	}
	return converted
}

// EVerest's manager rejects shorter descriptions.
func checkDescription(where, text string) error {
	if len(text) < 2 {
		return fmt.Errorf("%s must have at least 2 characters", where)
	}
	return nil
}

func strictUnmarshal(document []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}
