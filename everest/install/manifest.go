package install

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/internal/yamljson"
)

// Manifest is the content of a module's manifest.yaml.
type Manifest struct {
	Description string
	License     string
	Authors     []string
	// Config parameters of the module by name.
	Config map[string]Parameter
	// Provides by implementation id.
	Provides map[string]Implementation
	// Requires by requirement id.
	Requires map[string]Requirement

	EnableExternalMQTT bool
	EnableTelemetry    bool
	EnableGlobalErrors bool
}

// Implementation is one provided implementation.
type Implementation struct {
	Interface   string
	Description string
	Config      map[string]Parameter
}

// Requirement is one requirement: how many implementations of an interface the module is to be connected to.
type Requirement struct {
	Interface string
	// MinConnections is 1 where the manifest has no value, 0 makes the requirement optional.
	MinConnections int
	// MaxConnections is 1 where the manifest has no value.
	MaxConnections int
	// IgnoreErrors switches the subscription of the connected implementations' errors off.
	IgnoreErrors bool
	// IgnoreVariables names variables that the module does not read.
	IgnoreVariables []string
}

// Parameter declares one configuration parameter.
type Parameter struct {
	Description string
	// Type is "boolean", "integer", "number" or "string".
	Type string
	// Default is nil where the configuration file must give the value.
	Default json.RawMessage
	// Mutability is "ReadOnly" (the default), "ReadWrite" or "WriteOnly".
	Mutability string
	// Unit of the value, empty where the manifest names none.
	Unit string
	// Minimum and Maximum bound an integer or a number; nil where the manifest names none.
	Minimum, Maximum *float64
	// Enum lists the allowed values; empty allows all of the type.
	Enum []json.RawMessage
}

// ParseManifest reads a manifest.yaml and refuses what EVerest's manager would refuse: an unknown key, a missing or too
// short description, no licence or author, a requirement with impossible counts. The error names the place.
func ParseManifest(content []byte) (*Manifest, error) {
	document, err := yamljson.Convert(content)
	if err != nil {
		return nil, fmt.Errorf("everest: manifest: %w", err)
	}
	var file manifestFile
	if err := strictUnmarshal(document, &file); err != nil {
		return nil, fmt.Errorf("everest: manifest: %w", err)
	}
	manifest, err := file.manifest()
	if err != nil {
		return nil, fmt.Errorf("everest: manifest: %w", err)
	}
	return manifest, nil
}

// ImplementationIDs returns the ids of the provided implementations, sorted.
func (m *Manifest) ImplementationIDs() []string { return slices.Sorted(maps.Keys(m.Provides)) }

// RequirementIDs returns the ids of the requirements, sorted.
func (m *Manifest) RequirementIDs() []string { return slices.Sorted(maps.Keys(m.Requires)) }
