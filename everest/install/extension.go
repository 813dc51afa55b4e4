package install

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Extension is what a fork adds to the installation of a module.
type Extension struct {
	// Manifest is a part of a manifest.yaml: the sections config, provides and requires, each with entries that the module
	// itself does not have. A vendor's prefix such as acme_ keeps their names apart from those of later releases. Give each
	// configuration key a default, and each requirement min_connections: 0, so that existing configurations stay valid.
	Manifest string
	// Interfaces holds YAML definitions by interface name, for the interfaces of Manifest that EVerest itself lacks. They
	// may use EVerest's types and errors.
	Interfaces map[string]string
}

// extensible are the sections of a manifest to which an extension may add.
var extensible = []string{"config", "provides", "requires"}

// Extended returns the installation of a fork: with the entries of the extension in its manifest, and with its
// interfaces. i stays as it is. An entry or an interface that the module itself has is a mistake, and so is a manifest
// that EVerest's manager would reject. Err returns the mistake, and so do Install and the modules that get the
// installation.
func (i Installation) Extended(extension Extension) Installation {
	manifest, interfaces, err := i.extend(extension)
	if err != nil {
		i.mistake = errors.Join(i.mistake, err)
		return i
	}
	i.Manifest, i.Interfaces = manifest, interfaces
	return i
}

// Err returns what is wrong with the extensions, nil for nothing.
func (i Installation) Err() error { return i.mistake }

func (i Installation) extend(extension Extension) (manifest []byte, interfaces map[string][]byte, err error) {
	document, err := parseYAML(i.Manifest)
	if err != nil {
		return nil, nil, fmt.Errorf("everest: manifest: %w", err)
	}
	added, err := parseYAML([]byte(extension.Manifest))
	if err == nil && added.Kind != yaml.MappingNode {
		err = fmt.Errorf("it has no sections %q", extensible)
	}
	if err == nil {
		err = document.add(added)
	}
	if err == nil {
		manifest, err = document.encode()
	}
	if err == nil {
		_, err = ParseManifest(manifest)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("everest: the manifest of the extension: %w", err)
	}
	interfaces = maps.Clone(i.Interfaces)
	if interfaces == nil {
		interfaces = map[string][]byte{}
	}
	for name, content := range extension.Interfaces {
		if _, twice := interfaces[name]; twice {
			return nil, nil, fmt.Errorf("everest: interface %s is the module's own: choose another name", name)
		}
		interfaces[name] = []byte(content)
	}
	return manifest, interfaces, nil
}

// add adds the entries of each section.
func (n yamlNode) add(added yamlNode) error {
	for i := 0; i+1 < len(added.Content); i += 2 {
		key, section := added.Content[i].Value, added.Content[i+1]
		if !slices.Contains(extensible, key) || section.Kind != yaml.MappingNode {
			return fmt.Errorf("%s: an extension has only %q, each with entries", key, extensible)
		}
		if n.at(key) == nil {
			n.Content = append(n.Content, added.Content[i], section)
			continue
		}
		present := yamlNode{n.at(key)}
		if present.Kind != yaml.MappingNode {
			return fmt.Errorf("%s of the module has no entries", key)
		}
		present.Style &^= yaml.FlowStyle // as an empty mapping is written
		for j := 0; j+1 < len(section.Content); j += 2 {
			if name := section.Content[j].Value; present.index(name) >= 0 {
				return fmt.Errorf("%s.%s is the module's own: choose another name", key, name)
			}
		}
		present.Content = append(present.Content, section.Content...)
	}
	return nil
}

// Definitions returns the definitions of the installation's interfaces beside those of known. An interface that known has
// already, with the same content or another one, is replaced.
func (i Installation) Definitions(known *schema.Definitions) (*schema.Definitions, error) {
	for _, name := range slices.Sorted(maps.Keys(i.Interfaces)) {
		var err error
		if known, err = known.WithInterface(name, bytes.Clone(i.Interfaces[name])); err != nil {
			return nil, fmt.Errorf("everest: interface %s: %w", name, err)
		}
	}
	return known, nil
}
