package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Target describes the EVerest at an installation prefix: its interfaces and error lists. A nil Target means that there
// is no EVerest, and nothing is left out.
type Target struct {
	prefix             string
	interfaces, errors map[string]bool
}

// ReadTarget reads the EVerest at the installation prefix. It returns nil unless share/everest has the folders
// interfaces, types and errors.
func ReadTarget(prefix string) (*Target, error) {
	target := &Target{prefix: prefix}
	for folder, names := range map[string]*map[string]bool{"interfaces": &target.interfaces, "errors": &target.errors, "types": nil} {
		found, err := yamlNames(filepath.Join(dataDirectory(prefix), folder))
		if notThere(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("everest: cannot read the installation: %w", err)
		}
		if names != nil {
			*names = found
		}
	}
	return target, nil
}

// notThere reports whether a file or folder is missing. It is also true when a file has the place of a folder.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func yamlNames(directory string) (map[string]bool, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); extension == ".yaml" || extension == ".yml" {
			names[strings.TrimSuffix(entry.Name(), extension)] = true
		}
	}
	return names, nil
}

// Has reports whether the EVerest has an interface. A nil Target has every interface.
func (t *Target) Has(interfaceName string) bool { return t == nil || t.interfaces[interfaceName] }

// String describes the Target in a line for the report.
func (t *Target) String() string {
	if t == nil {
		return "no EVerest here: everything is installed as it is built in; install again once EVerest is there"
	}
	return fmt.Sprintf("EVerest at %s has %d interfaces", t.prefix, len(t.interfaces))
}

// hasError reports whether the EVerest has what a reference names: an error list, or an error in it.
func (t *Target) hasError(reference string) (bool, error) {
	namespace, name, single := strings.Cut(strings.TrimPrefix(reference, "/errors/"), "#/")
	if !t.errors[namespace] || !single {
		return t.errors[namespace], nil
	}
	file := filepath.Join(dataDirectory(t.prefix), "errors", namespace)
	content, err := os.ReadFile(file + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		content, err = os.ReadFile(file + ".yml")
	}
	if err != nil {
		return false, fmt.Errorf("everest: cannot read the installation: %w", err)
	}
	document, err := parseYAML(content)
	if err != nil {
		return false, fmt.Errorf("errors %s: %w", namespace, err)
	}
	declared := document.at("errors")
	if declared == nil {
		return false, nil
	}
	for _, entry := range declared.Content {
		if declaredName := (yamlNode{entry}).at("name"); declaredName != nil && declaredName.Value == name {
			return true, nil
		}
	}
	return false, nil
}

// fitInterface removes the references to error lists that the EVerest lacks, because its manager would reject the
// interface, and those to single errors that it lacks, of which its manager says nothing and its modules hear nothing.
func (t *Target) fitInterface(content []byte) (fitting []byte, notes []string, err error) {
	if t == nil {
		return content, nil, nil
	}
	document, err := parseYAML(content)
	if err != nil {
		return nil, nil, err
	}
	list := document.at("errors")
	if list == nil {
		return content, nil, nil
	}
	kept := list.Content[:0:0]
	for _, entry := range list.Content {
		reference := yamlNode{entry}.at("reference")
		if reference == nil {
			return nil, nil, fmt.Errorf("line %d: an error without reference", entry.Line)
		}
		has, err := t.hasError(reference.Value)
		if err != nil {
			return nil, nil, err
		}
		if !has {
			notes = append(notes, "left out: errors "+reference.Value+" (not in this EVerest)")
			continue
		}
		kept = append(kept, entry)
	}
	if len(notes) == 0 {
		return content, nil, nil
	}
	list.Content = kept
	if len(kept) == 0 {
		document.remove("errors")
	}
	fitting, err = document.encode()
	return fitting, notes, err
}
