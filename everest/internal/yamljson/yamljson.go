// Package yamljson turns YAML files of EVerest, manifests and interface definitions, into JSON.
package yamljson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"go.yaml.in/yaml/v3"
)

// Aliases can make a small file a very large one: Convert fails where the YAML is nested deeper than maxDepth, or where
// the JSON is longer than maxSize bytes.
const (
	maxDepth = 64
	maxSize  = 16 << 20
)

// Convert converts one YAML document to JSON with its keys in the same order. Dates stay texts, and an empty file
// becomes {}.
func Convert(content []byte) (json.RawMessage, error) {
	var document yaml.Node
	err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&document)
	if errors.Is(err, io.EOF) {
		return json.RawMessage("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeNode(&out, &document, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeNode(out *bytes.Buffer, node *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: nested deeper than %d", node.Line, maxDepth)
	}
	if out.Len() > maxSize {
		return fmt.Errorf("line %d: the file unfolds to more than %d bytes", node.Line, maxSize)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return writeNode(out, node.Content[0], depth)
	case yaml.AliasNode:
		return writeNode(out, node.Alias, depth+1)
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, element := range node.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeNode(out, element, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case yaml.MappingNode:
		return writeMapping(out, node, depth)
	default:
		return writeScalar(out, node)
	}
}

func writeMapping(out *bytes.Buffer, node *yaml.Node, depth int) error {
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
		if err := writeNode(out, node.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeScalar(out *bytes.Buffer, node *yaml.Node) error {
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
		// A number that is written as in JSON keeps its text, so that 4.0 does not become an integer.
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
