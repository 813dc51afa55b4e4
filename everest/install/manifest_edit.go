package install

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// ManifestEdit changes a manifest before it is installed.
type ManifestEdit struct {
	document  yamlNode
	original  []byte
	changed   bool
	target    *Target
	installed *Manifest
	notes     []string
}

// manifestFor adapts the manifest to the target and applies the options.
func (i Installation) manifestFor(prefix string, target *Target, chosen map[string]string) (*ManifestEdit, error) {
	document, err := parseYAML(i.Manifest)
	if err != nil {
		return nil, fmt.Errorf("everest: manifest: %w", err)
	}
	edit := &ManifestEdit{document: document, original: i.Manifest, target: target}
	content, err := InstalledManifest(prefix, i.Module)
	if err == nil {
		// An installed manifest that cannot be read is ignored and replaced.
		edit.installed, _ = ParseManifest(content)
	} else if !notThere(err) {
		return nil, fmt.Errorf("everest: cannot read the installation: %w", err)
	}
	if err := edit.fit(i.Interfaces); err != nil {
		return nil, err
	}
	for name := range chosen {
		if !slices.ContainsFunc(i.Options, func(o Option) bool { return o.Name == name }) {
			return nil, fmt.Errorf("everest: module %s has no option -%s at its installation", i.Module, name)
		}
	}
	for _, option := range i.Options {
		value, given := chosen[option.Name]
		if err := option.Apply(edit, value, given); err != nil {
			return nil, fmt.Errorf("everest: -%s: %w", option.Name, err)
		}
	}
	return edit, nil
}

// fit removes the parts whose interface the target lacks. own holds the interfaces that the module itself installs.
func (e *ManifestEdit) fit(own map[string][]byte) error {
	for _, section := range []struct{ key, what string }{{"provides", "implementation"}, {"requires", "requirement"}} {
		entries := e.document.at(section.key)
		if entries == nil || entries.Kind != yaml.MappingNode {
			continue
		}
		var gone []string
		for i := 0; i+1 < len(entries.Content); i += 2 {
			id, entry := entries.Content[i].Value, yamlNode{entries.Content[i+1]}
			name := ""
			if node := entry.at("interface"); node != nil {
				name = node.Value
			}
			if _, brought := own[name]; brought || e.target.Has(name) {
				continue
			}
			if least := entry.at("min_connections"); section.key == "requires" && (least == nil || least.Value != "0") {
				return fmt.Errorf("everest: the EVerest at %s has no interface %s, which this module cannot do without", e.target.prefix, name)
			}
			gone = append(gone, id)
			e.Note("left out: %s %s (this EVerest has no interface %s)", section.what, id, name)
		}
		for _, id := range gone {
			yamlNode{entries}.remove(id)
			e.changed = true
		}
		if len(entries.Content) == 0 {
			e.document.remove(section.key)
		}
	}
	return nil
}

// Installed returns the manifest that is installed now, or nil when there is none.
func (e *ManifestEdit) Installed() *Manifest { return e.installed }

// Target returns the EVerest for which the manifest is edited, or nil when there is none at the prefix.
func (e *ManifestEdit) Target() *Target { return e.target }

// Note adds a line to the report of Installation.Install.
func (e *ManifestEdit) Note(format string, arguments ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, arguments...))
}

// Provide adds a provided implementation, or replaces the one with the same id.
func (e *ManifestEdit) Provide(id, interfaceName, description string) error {
	return e.set("provides", id, struct {
		Interface   string `yaml:"interface"`
		Description string `yaml:"description"`
	}{interfaceName, description})
}

// Require adds a requirement, or replaces the one with the same id.
func (e *ManifestEdit) Require(id, interfaceName string, least, most int) error {
	return e.set("requires", id, struct {
		Interface string `yaml:"interface"`
		Least     int    `yaml:"min_connections"`
		Most      int    `yaml:"max_connections"`
	}{interfaceName, least, most})
}

// SetDefault changes the default of a configuration parameter. It does nothing when the default has that value already.
func (e *ManifestEdit) SetDefault(parameter, value string) error {
	declared := e.document.at("config", parameter)
	if declared == nil {
		return fmt.Errorf("the manifest has no parameter %s", parameter)
	}
	if present := (yamlNode{declared}).at("default"); present != nil && present.Value == value {
		return nil
	}
	e.changed = true
	return yamlNode{declared}.set("default", value)
}

// set sets the value of an entry in a section. It adds the section when it is missing.
func (e *ManifestEdit) set(section, id string, value any) error {
	if e.document.at(section) == nil {
		if err := e.document.set(section, map[string]any{}); err != nil {
			return err
		}
	}
	entries := yamlNode{e.document.at(section)}
	entries.Style &^= yaml.FlowStyle // as an empty mapping is written
	e.changed = true
	return entries.set(id, value)
}

// content returns the bytes of the original file when nothing was changed. A changed manifest that a manager would
// reject is an error.
func (e *ManifestEdit) content() ([]byte, error) {
	if !e.changed {
		return e.original, nil
	}
	content, err := e.document.encode()
	if err != nil {
		return nil, fmt.Errorf("everest: manifest: %w", err)
	}
	if _, err := ParseManifest(content); err != nil {
		return nil, err
	}
	return content, nil
}
