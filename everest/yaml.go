package everest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"go.yaml.in/yaml/v3"
)

// Bounds for what a YAML file may unfold to: aliases can make a small file a very large one.
const (
	yamlDepth = 64
	yamlSize  = 16 << 20
)

// yamlToJSON turns one YAML document into JSON, keeping the order of the keys. Dates stay the text that they are.
func yamlToJSON(content []byte) (json.RawMessage, error) {
	var document yaml.Node
	err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&document)
	if errors.Is(err, io.EOF) {
		return json.RawMessage("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeYAML(&out, &document, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeYAML(out *bytes.Buffer, node *yaml.Node, depth int) error {
	if depth > yamlDepth {
		return fmt.Errorf("line %d: nested deeper than %d", node.Line, yamlDepth)
	}
	if out.Len() > yamlSize {
		return fmt.Errorf("line %d: the file unfolds to more than %d bytes", node.Line, yamlSize)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return writeYAML(out, node.Content[0], depth)
	case yaml.AliasNode:
		return writeYAML(out, node.Alias, depth+1)
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, element := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeYAML(out, element, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case yaml.MappingNode:
		return writeYAMLMapping(out, node, depth)
	default:
		return writeYAMLScalar(out, node)
	}
}

func writeYAMLMapping(out *bytes.Buffer, node *yaml.Node, depth int) error {
	out.WriteByte('{')
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return fmt.Errorf("line %d: a key is a plain word", key.Line)
		}
		if seen[key.Value] {
			return fmt.Errorf("line %d: key %q stands there twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(key.Value)
		if err != nil {
			return err
		}
		out.Write(name)
		out.WriteByte(':')
		if err := writeYAML(out, node.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeYAMLScalar(out *bytes.Buffer, node *yaml.Node) error {
	var value any = node.Value
	switch node.ShortTag() {
	case "!!null":
		value = nil
	case "!!bool":
		var flag bool
		if err := node.Decode(&flag); err != nil {
			return err
		}
		value = flag
	case "!!int":
		var number any
		if err := node.Decode(&number); err != nil {
			return err
		}
		value = number
	case "!!float":
		var number float64
		if err := node.Decode(&number); err != nil {
			return err
		}
		if math.IsInf(number, 0) || math.IsNaN(number) {
			return fmt.Errorf("line %d: JSON has no %s", node.Line, node.Value)
		}
		// A number written as JSON writes it keeps its text, so that 4.0 stays a number and does not become an integer.
		value = number
		if json.Valid([]byte(node.Value)) {
			value = json.RawMessage(node.Value)
		}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	out.Write(encoded)
	return nil
}
