package everesttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// WriteInstallation writes definitions as the files of an EVerest installation, below prefix/share/everest. It writes
// the named interfaces, or all where none is named, and all types and error declarations. Other files stay.
func WriteInstallation(prefix string, definitions *schema.Definitions, interfaces ...string) error {
	if len(interfaces) == 0 {
		interfaces = definitions.InterfaceNames()
	}
	files := map[string]any{}
	for _, name := range interfaces {
		definition, known := definitions.Interface(name)
		if !known {
			return fmt.Errorf("everesttest: interface %s is not defined", name)
		}
		files["interfaces/"+name] = interfaceFile(definition)
	}
	types := map[string]map[string]json.RawMessage{}
	for _, reference := range definitions.TypeNames() {
		file, name, _ := strings.Cut(strings.TrimPrefix(reference, "/"), "#/")
		if types[file] == nil {
			types[file] = map[string]json.RawMessage{}
		}
		types[file][name], _ = definitions.Type(reference)
	}
	for file, declared := range types {
		files["types/"+file] = map[string]any{"description": "Types of " + file + ".", "types": declared}
	}
	for _, name := range definitions.ErrorNamespaces() {
		namespace, _ := definitions.ErrorNamespace(name)
		files["errors/"+name] = errorsFile(namespace)
	}
	for name, content := range files {
		// JSON is YAML.
		text, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return fmt.Errorf("everesttest: %s: %w", name, err)
		}
		path := filepath.Join(prefix, "share", "everest", filepath.FromSlash(name)+".yaml")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func interfaceFile(definition *schema.Interface) any {
	commands := map[string]any{}
	for name, command := range definition.Commands {
		described := map[string]any{"description": "Command " + name + ".", "arguments": argumentsFile(command.Arguments)}
		if string(command.Result) != `{"type":"null"}` {
			described["result"] = command.Result
		}
		commands[name] = described
	}
	variables := map[string]any{}
	for name, variable := range definition.Variables {
		variables[name] = variable.Schema
	}
	references := []any{}
	for _, reference := range definition.ErrorReferences {
		references = append(references, map[string]any{"reference": reference})
	}
	return map[string]any{"description": "Interface " + definition.Name + ".", "cmds": commands, "vars": variables, "errors": references}
}

// argumentsFile encodes arguments in their order.
type argumentsFile []schema.Argument

// MarshalJSON implements json.Marshaler.
func (a argumentsFile) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, argument := range a {
		if i > 0 {
			text.WriteByte(',')
		}
		name, err := json.Marshal(argument.Name)
		if err != nil {
			return nil, err
		}
		text.Write(name)
		text.WriteByte(':')
		text.Write(argument.Schema)
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

func errorsFile(namespace *schema.ErrorNamespace) any {
	list := []any{}
	for _, declared := range namespace.Errors {
		list = append(list, map[string]any{"name": declared.Name, "description": "Error " + declared.Name + "."})
	}
	return map[string]any{"description": "Errors of " + namespace.Name + ".", "errors": list}
}
