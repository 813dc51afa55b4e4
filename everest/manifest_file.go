package everest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// manifestFile is a manifest as it stands in the file.
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
	BaseURL string   `json:"base_url"`
}

type manifestParameterFile struct {
	Description string          `json:"description"`
	Type        string          `json:"type"`
	Default     json.RawMessage `json:"default"`
	Mutability  string          `json:"mutability"`
	Unit        string          `json:"unit"`

	// A parameter is declared by a JSON schema; of its other keywords these are met in manifests.
	Minimum *float64          `json:"minimum"`
	Maximum *float64          `json:"maximum"`
	Enum    []json.RawMessage `json:"enum"`
	Title   string            `json:"title"`
	Format  string            `json:"format"`
	Pattern string            `json:"pattern"`
}

type manifestImplementation struct {
	Interface   string                           `json:"interface"`
	Description string                           `json:"description"`
	Config      map[string]manifestParameterFile `json:"config"`
}

type manifestRequirement struct {
	Interface      string `json:"interface"`
	Description    string `json:"description"`
	MinConnections *int   `json:"min_connections"`
	MaxConnections *int   `json:"max_connections"`
	Ignore         struct {
		Variables []string `json:"vars"`
		Errors    bool     `json:"errors"`
	} `json:"ignore"`
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
	manifest := &Manifest{
		Description: f.Description, License: f.Metadata.License, Authors: f.Metadata.Authors,
		Provides: map[string]ManifestImplementation{}, Requires: map[string]ManifestRequirement{},
		EnableExternalMQTT: f.EnableExternalMQTT, EnableTelemetry: f.EnableTelemetry, EnableGlobalErrors: f.EnableGlobalErrors,
	}
	var err error
	if manifest.Config, err = manifestParameters("config", f.Config); err != nil {
		return nil, err
	}
	for id, provided := range f.Provides {
		where := "provides." + id
		if provided.Interface == "" {
			return nil, fmt.Errorf("%s.interface is missing", where)
		}
		if err := checkDescription(where+".description", provided.Description); err != nil {
			return nil, err
		}
		config, err := manifestParameters(where+".config", provided.Config)
		if err != nil {
			return nil, err
		}
		manifest.Provides[id] = ManifestImplementation{Interface: provided.Interface, Description: provided.Description, Config: config}
	}
	for id, required := range f.Requires {
		requirement, err := required.requirement("requires." + id)
		if err != nil {
			return nil, err
		}
		manifest.Requires[id] = requirement
	}
	return manifest, nil
}

func (r manifestRequirement) requirement(where string) (ManifestRequirement, error) {
	requirement := ManifestRequirement{
		Interface: r.Interface, MinConnections: 1, MaxConnections: 1,
		IgnoreErrors: r.Ignore.Errors, IgnoreVariables: r.Ignore.Variables,
	}
	if r.MinConnections != nil {
		requirement.MinConnections = *r.MinConnections
	}
	if r.MaxConnections != nil {
		requirement.MaxConnections = *r.MaxConnections
	}
	switch {
	case r.Interface == "":
		return requirement, fmt.Errorf("%s.interface is missing", where)
	case requirement.MinConnections < 0:
		return requirement, fmt.Errorf("%s.min_connections is %d, it must not be below 0", where, requirement.MinConnections)
	case requirement.MaxConnections < 1:
		return requirement, fmt.Errorf("%s.max_connections is %d, it must not be below 1", where, requirement.MaxConnections)
	case requirement.MaxConnections < requirement.MinConnections:
		return requirement, fmt.Errorf("%s.max_connections is %d, below its min_connections %d", where, requirement.MaxConnections, requirement.MinConnections)
	}
	return requirement, nil
}

func manifestParameters(where string, files map[string]manifestParameterFile) (map[string]ManifestParameter, error) {
	parameters := map[string]ManifestParameter{}
	for name, file := range files {
		place := where + "." + name
		if err := checkDescription(place+".description", file.Description); err != nil {
			return nil, err
		}
		parameter := ManifestParameter{
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
		if !isNull(file.Default) {
			if err := parameter.CheckValue(file.Default); err != nil {
				return nil, fmt.Errorf("%s.default: %w", place, err)
			}
			parameter.Default = file.Default
		}
		parameters[name] = parameter
	}
	return parameters, nil
}

// CheckValue reports whether a configured value is of the parameter's type, within its bounds and one of its enumerated
// values. An integer does for a number.
func (p ManifestParameter) CheckValue(value json.RawMessage) error {
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
	if err != nil || isNull(value) {
		return fmt.Errorf("%s is no %s", value, p.Type)
	}
	return p.checkRange(value)
}

func (p ManifestParameter) checkRange(value json.RawMessage) error {
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

// EVerest's manager refuses shorter descriptions, so a manifest that passes here must not fail there.
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
