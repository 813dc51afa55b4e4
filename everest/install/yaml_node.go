package install

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// yamlNode is a mapping in a YAML file. It is changed and written again with its order and comments.
type yamlNode struct{ *yaml.Node }

func parseYAML(content []byte) (yamlNode, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return yamlNode{}, err
	}
	if document.Kind != yaml.DocumentNode {
		return yamlNode{&yaml.Node{Kind: yaml.MappingNode}}, nil
	}
	return yamlNode{document.Content[0]}, nil
}

// index returns the place of a key, or -1.
func (n yamlNode) index(key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// at returns the value below a path of keys, or nil when there is none.
func (n yamlNode) at(path ...string) *yaml.Node {
	for _, key := range path {
		if n.Node == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		i := n.index(key)
		if i < 0 {
			return nil
		}
		n = yamlNode{n.Content[i+1]}
	}
	return n.Node
}

func (n yamlNode) remove(key string) {
	if i := n.index(key); i >= 0 {
		n.Content = append(n.Content[:i], n.Content[i+2:]...)
	}
}

// set sets the value of a key. A new key is added at the end.
func (n yamlNode) set(key string, value any) error {
	var encoded yaml.Node
	if err := encoded.Encode(value); err != nil {
		return err
	}
	if i := n.index(key); i >= 0 {
		n.Content[i+1] = &encoded
		return nil
	}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &encoded)
	return nil
}

func (n yamlNode) encode() ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(n.Node); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}
