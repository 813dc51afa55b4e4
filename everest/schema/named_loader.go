package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/internal/yamljson"
)

// LoadInterfaces reads the named interfaces from EVerest's definition files below dir, such as an installation's
// share/everest. It reads only the type and error files that these interfaces need. An interface without a file is left
// out.
//
// An interface that cannot be read is left out too, and the error names its file. The set with the other interfaces is
// returned together with the error.
func LoadInterfaces(dir fs.FS, names ...string) (*Definitions, error) {
	loader := namedLoader{dir: dir, loaded: newDefinitions(), types: map[string]map[string]json.RawMessage{}}
	var wrong []error
	for _, name := range names {
		err := loader.readInterface(name)
		if err != nil && !errors.Is(err, errNoDefinition) {
			wrong = append(wrong, err)
		}
	}
	return loader.loaded, errors.Join(wrong...)
}

// LoadErrors reads the named error lists from EVerest's definition files below dir, such as an installation's
// share/everest: each file once. A list without a file is left out. An error names the file.
func LoadErrors(dir fs.FS, namespaces ...string) (*Definitions, error) {
	loader := namedLoader{dir: dir, loaded: newDefinitions()}
	for _, namespace := range namespaces {
		if err := loader.readErrors(namespace); err != nil {
			return nil, err
		}
	}
	return loader.loaded, nil
}

var errNoDefinition = errors.New("everest: no definition file")

// namedLoader reads files when something refers to them.
type namedLoader struct {
	dir    fs.FS
	loaded *Definitions
	// types holds the types of the type files that were read, by file and name.
	types map[string]map[string]json.RawMessage
}

func (l *namedLoader) readInterface(name string) error {
	document, file, err := l.read("interfaces/" + name)
	if err != nil {
		return err
	}
	if err := l.readInterfaceDocument(name, document); err != nil {
		delete(l.loaded.interfaces, name)
		return fmt.Errorf("%w (%s)", err, file)
	}
	return nil
}

func (l *namedLoader) readInterfaceDocument(name string, document json.RawMessage) error {
	var referring struct {
		Errors []struct {
			Reference string `json:"reference"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(document, &referring); err != nil {
		return fmt.Errorf("everest: interface %s: %w", name, err)
	}
	for _, entry := range referring.Errors {
		namespace, _, _ := strings.Cut(strings.TrimPrefix(entry.Reference, "/errors/"), "#")
		if err := l.readErrors(namespace); err != nil {
			return err
		}
	}
	if err := l.loaded.addInterface(name, document); err != nil {
		return err
	}
	return l.readTypesOf(document)
}

func (l *namedLoader) readErrors(namespace string) error {
	if _, known := l.loaded.errors[namespace]; known {
		return nil
	}
	document, file, err := l.read("errors/" + namespace)
	if errors.Is(err, errNoDefinition) {
		return nil // the reference to it fails with an error that names it
	}
	if err != nil {
		return err
	}
	if err := l.loaded.readErrorFile(namespace, document); err != nil {
		return fmt.Errorf("%w (%s)", err, file)
	}
	return nil
}

// readTypesOf reads the types that a schema refers to, and the types that these refer to.
func (l *namedLoader) readTypesOf(schema json.RawMessage) error {
	var value any
	if err := json.Unmarshal(schema, &value); err != nil {
		return err
	}
	for _, reference := range slices.Sorted(maps.Keys(references(value, map[string]bool{}))) {
		if _, known := l.loaded.types[reference]; known {
			continue
		}
		declared, err := l.typeOf(reference)
		if err != nil {
			return err
		}
		l.loaded.types[reference] = declared
		if err := l.readTypesOf(declared); err != nil {
			return err
		}
	}
	return nil
}

func (l *namedLoader) typeOf(reference string) (json.RawMessage, error) {
	name, member, ok := strings.Cut(strings.TrimPrefix(reference, "/"), "#/")
	if !ok {
		return nil, fmt.Errorf("everest: type reference %q is not of the form /file#/Name", reference)
	}
	if l.types[name] == nil {
		document, file, err := l.read("types/" + name)
		if err != nil {
			// Not wrapped: it is the type that has no file, not the interface.
			return nil, fmt.Errorf("everest: type %s: %v", reference, err)
		}
		var content struct {
			Types map[string]json.RawMessage `json:"types"`
		}
		if err := json.Unmarshal(document, &content); err != nil {
			return nil, fmt.Errorf("everest: type file %s: %w", file, err)
		}
		l.types[name] = content.Types
	}
	declared, known := l.types[name][member]
	if !known {
		return nil, fmt.Errorf("everest: type %s is not declared", reference)
	}
	return declared, nil
}

// read returns the content and the name of a YAML file. The argument name has no extension.
func (l *namedLoader) read(name string) (json.RawMessage, string, error) {
	for _, extension := range []string{".yaml", ".yml"} {
		content, err := fs.ReadFile(l.dir, name+extension)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("everest: %w", err)
		}
		document, err := yamljson.Convert(content)
		if err != nil {
			return nil, "", fmt.Errorf("everest: %s: %w", name+extension, err)
		}
		return document, name + extension, nil
	}
	return nil, "", fmt.Errorf("%w %s.yaml", errNoDefinition, name)
}

// references collects the values of all $ref in a decoded schema.
func references(value any, into map[string]bool) map[string]bool {
	switch value := value.(type) {
	case map[string]any:
		if reference, ok := value["$ref"].(string); ok {
			into[reference] = true
		}
		for _, member := range value {
			references(member, into)
		}
	case []any:
		for _, element := range value {
			references(element, into)
		}
	}
	return into
}
