package everest

import "fmt"

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
