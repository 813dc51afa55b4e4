package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/internal/yamljson"
	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// LoadYAML reads EVerest's definition files below dir, such as an installation's share/everest or the root of a source
// tree. The files are interfaces/<name>.yaml, types/**/<file>.yaml and errors/<namespace>.yaml. A missing folder counts
// as empty. An error names the file.
func LoadYAML(dir fs.FS) (*Definitions, error) {
	loaded := newDefinitions()
	if err := eachYAML(dir, "errors", loaded.readErrorFile); err != nil {
		return nil, err
	}
	if err := eachYAML(dir, "types", loaded.readTypeFile); err != nil {
		return nil, err
	}
	if err := eachYAML(dir, "interfaces", loaded.addInterface); err != nil {
		return nil, err
	}
	return loaded, nil
}

// eachYAML calls read for every YAML file of the folder. name is the file's path in the folder, without its extension.
func eachYAML(dir fs.FS, folder string, read func(name string, document json.RawMessage) error) error {
	err := fs.WalkDir(dir, folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		extension := path.Ext(file)
		if entry.IsDir() || extension != ".yaml" && extension != ".yml" {
			return nil
		}
		content, err := fs.ReadFile(dir, file)
		if err != nil {
			return err
		}
		document, err := yamljson.Convert(content)
		if err != nil {
			return fmt.Errorf("everest: %s: %w", file, err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, folder+"/"), extension)
		if err := read(name, document); err != nil {
			return fmt.Errorf("%w (%s)", err, file)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *Definitions) readTypeFile(name string, document json.RawMessage) error {
	var file struct {
		Types json.RawMessage `json:"types"`
	}
	if err := json.Unmarshal(document, &file); err != nil {
		return fmt.Errorf("everest: type file %s: %w", name, err)
	}
	types, err := rawjson.Members(file.Types)
	if err != nil {
		return fmt.Errorf("everest: type file %s: types: %w", name, err)
	}
	for _, declared := range types {
		d.types["/"+name+"#/"+declared.Name] = declared.Value
	}
	return nil
}

func (d *Definitions) readErrorFile(name string, document json.RawMessage) error {
	var file struct {
		Description string `json:"description"`
		Errors      []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(document, &file); err != nil {
		return fmt.Errorf("everest: error file %s: %w", name, err)
	}
	namespace := &ErrorNamespace{Name: name, Description: file.Description}
	for _, declared := range file.Errors {
		if declared.Name == "" {
			return fmt.Errorf("everest: error file %s: an error without a name", name)
		}
		namespace.Errors = append(namespace.Errors, ErrorDeclaration{Name: declared.Name, Description: declared.Description})
	}
	d.errors[name] = namespace
	return nil
}
