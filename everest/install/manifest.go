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
	// Config holds the parameters of the module by name.
	Config map[string]Parameter
	// Provides holds the provided implementations by id.
	Provides map[string]Implementation
	// Requires holds the requirements by id.
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

// Requirement declares an interface that the module needs, and how many implementations of it are connected.
type Requirement struct {
	Interface string
	// MinConnections is 1 by default. With 0 the requirement is optional.
	MinConnections int
	// MaxConnections is 1 by default.
	MaxConnections int
	// IgnoreErrors disables the subscription of the errors of connected implementations.
	IgnoreErrors bool
	// IgnoreVariables names variables that the module does not read.
	IgnoreVariables []string
}

// Parameter declares one configuration parameter.
type Parameter struct {
	Description string
	// Type is "boolean", "integer", "number" or "string".
	Type string
	// Default is nil for a parameter whose value the configuration file must give.
	Default json.RawMessage
	// Mutability is "ReadOnly" (the default), "ReadWrite" or "WriteOnly".
	Mutability string
	// Unit is the unit of the value. It is empty when the manifest does not give one.
	Unit string
	// Minimum and Maximum bound an integer or a number. A bound that the manifest does not give is nil.
	Minimum, Maximum *float64
	// Enum lists the allowed values. When it is empty, all values of the type are allowed.
	Enum []json.RawMessage
}

// ParseManifest reads a manifest.yaml. It returns an error for a manifest that EVerest's manager rejects, for example
// one with an unknown key, a too short description, no licence or no author. The error names the place in the manifest.
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
