package everest

import (
	"fmt"
	"maps"
)

// WithInterface returns a new set that has one more interface, read from its YAML definition: one that EVerest itself does
// not have. The types and errors to which it refers must be in the set.
func (d *Definitions) WithInterface(name string, content []byte) (*Definitions, error) {
	extended, err := MergeDefinitions(d)
	if err != nil {
		return nil, err
	}
	document, err := yamlToJSON(content)
	if err != nil {
		return nil, fmt.Errorf("everest: interface %s: %w", name, err)
	}
	if err := extended.addInterface(name, document); err != nil {
		return nil, err
	}
	return extended, nil
}

// OverDefinitions returns a new set that has everything of this one, and of the other what this one does not have: an
// installation's definitions, for example, before the built-in ones.
func (d *Definitions) OverDefinitions(other *Definitions) *Definitions {
	united := newDefinitions()
	for _, set := range []*Definitions{other, d} {
		if set == nil {
			continue
		}
		maps.Copy(united.meta, set.meta)
		maps.Copy(united.interfaces, set.interfaces)
		maps.Copy(united.types, set.types)
		maps.Copy(united.errors, set.errors)
	}
	return united
}
