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

// Target is the EVerest of an installation, as far as a manifest has to follow it. nil is none: it has everything.
type Target struct {
	prefix             string
	interfaces, errors map[string]bool
}

// ReadTarget looks for an EVerest at the installation prefix. It is nil where there is none: interfaces, types and
// errors below share/everest belong to one.
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

// notThere is also true where a file is in the place of a directory.
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

// Has reports whether the EVerest has an interface. Without an EVerest Has returns true.
func (t *Target) Has(interfaceName string) bool { return t == nil || t.interfaces[interfaceName] }

// String describes what was found.
func (t *Target) String() string {
	if t == nil {
		return "no EVerest here: everything is installed as it is built in; install again once EVerest is there"
	}
	return fmt.Sprintf("EVerest at %s has %d interfaces", t.prefix, len(t.interfaces))
}

// fitInterface leaves out of an interface definition the references to error lists that the EVerest does not have: its
// manager would refuse the interface.
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
		namespace, _, _ := strings.Cut(strings.TrimPrefix(reference.Value, "/errors/"), "#")
		if !t.errors[namespace] {
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
