package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"go.yaml.in/yaml/v3"
)

// scalar is a value whose type depends on who reads it. EVerest reads an unquoted IPv4 address as a number, and refuses
// it then. Here a text is a text where one is wanted.
type scalar struct {
	text   string
	quoted bool
}

// Bounds of a file.
const (
	maxDepth = 64
	maxFile  = 16 << 20
)

// readFile reads a YAML file as rapidyaml does: aliases stay unresolved, and dates, yes and no are texts. JSON is YAML.
// Objects become map[string]any, lists []any, null nil, and all else a scalar.
func readFile(name string) (any, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxFile:
		return nil, fmt.Errorf("the file has more than %d bytes", maxFile)
	}
	var document yaml.Node
	err = yaml.NewDecoder(bytes.NewReader(content)).Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty")
	case err != nil:
		return nil, err
	}
	return fromNode(&document, 0)
}

func fromNode(node *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nested deeper than %d", node.Line, maxDepth)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return fromNode(node.Content[0], depth)
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind != yaml.ScalarNode || key.Value == "<<" {
				return nil, fmt.Errorf("line %d: a key is a plain word", key.Line)
			}
			value, err := fromNode(node.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			object[key.Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := []any{}
		for _, element := range node.Content {
			value, err := fromNode(element, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: this EVerest does not resolve aliases", node.Line)
	}
	quoted := node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if !quoted && (node.Value == "" || node.Value == "~" || node.Value == "null") {
		return nil, nil
	}
	return scalar{node.Value, quoted}, nil
}

// textOf returns the text of a scalar. ok is false for any other value.
func textOf(value any) (text string, ok bool) {
	read, ok := value.(scalar)
	return read.text, ok
}

// merge applies a merge patch (RFC 7396).
func merge(target, patch any) any {
	members, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	object, _ := target.(map[string]any)
	merged := maps.Clone(object)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range members {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = merge(merged[name], value)
		}
	}
	return merged
}
