package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Target describes the EVerest at an installation prefix: its interfaces and error lists. A nil Target means that there
// is no EVerest, and nothing is left out.
type Target struct {
	prefix     string
	interfaces map[string]bool
}

// ReadTarget reads the EVerest at the installation prefix. It returns nil unless share/everest has the folders
// interfaces, types and errors.
func ReadTarget(prefix string) (*Target, error) {
	target := &Target{prefix: prefix}
	for _, folder := range []string{"interfaces", "errors", "types"} {
		found, err := yamlNames(filepath.Join(dataDirectory(prefix), folder))
		if notThere(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("everest: cannot read the installation: %w", err)
		}
		if folder == "interfaces" {
			target.interfaces = found
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

// errorLists reads the error lists that references name, each once. A list that the EVerest lacks is left out.
func (t *Target) errorLists(references []string) (*schema.Definitions, error) {
	var lists []string
	for _, reference := range references {
		list, _, _ := cutReference(reference)
		lists = append(lists, list)
	}
	return schema.LoadErrors(os.DirFS(dataDirectory(t.prefix)), lists...)
}

// cutReference returns the list that a reference names, and where it names a single error that error.
func cutReference(reference string) (list, name string, single bool) {
	return strings.Cut(strings.TrimPrefix(reference, "/errors/"), "#/")
}

// hasError reports whether the lists have what a reference names: a list, or an error in it.
func hasError(lists *schema.Definitions, reference string) bool {
	name, single, isSingle := cutReference(reference)
	list, found := lists.ErrorNamespace(name)
	return found && (!isSingle || slices.ContainsFunc(list.Errors, func(declared schema.ErrorDeclaration) bool { return declared.Name == single }))
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
	var references []string
	for _, entry := range list.Content {
		reference := yamlNode{entry}.at("reference")
		if reference == nil {
			return nil, nil, fmt.Errorf("line %d: an error without reference", entry.Line)
		}
		references = append(references, reference.Value)
	}
	installed, err := t.errorLists(references)
	if err != nil {
		return nil, nil, err
	}
	kept := list.Content[:0:0]
	for i, entry := range list.Content {
		if !hasError(installed, references[i]) {
			notes = append(notes, "left out: errors "+references[i]+" (not in this EVerest)")
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
