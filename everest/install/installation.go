package install

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Installation is what a module brings into an EVerest installation beside its program.
type Installation struct {
	// Module is the module's name, as `active_modules.<id>.module` refers to it.
	Module string
	// Manifest is the module's manifest.yaml, for an EVerest that has everything.
	Manifest []byte
	// Interfaces are the YAML definitions, by interface name, of the interfaces that EVerest itself does not have.
	Interfaces map[string][]byte
	// Options are what an installer may choose.
	Options []Option
}

// Option is something that is chosen at the installation, because a manifest must contain it.
type Option struct {
	// Name is what the command line calls it, without dash.
	Name string
	// Usage explains the value in a few words.
	Usage string
	// Apply changes the manifest. given is false where nothing was chosen: what is installed already may count then.
	Apply func(edit *ManifestEdit, value string, given bool) error
}

// Install writes the module where a manager with the installation prefix looks for it: the program and its manifest
// below libexec/everest/modules, interfaces below share/everest/interfaces. The program is copied from the file
// executable, such as os.Executable names it. chosen has the values of Options by name. The report has a line for
// everything that was written or left out, also beside an error.
//
// Each file is replaced at once, and only where it differs. So a running program is not disturbed, and a second call
// changes nothing.
//
// The manifest follows the EVerest at the prefix. Optional requirements and provided implementations are left out where
// that EVerest lacks their interface, and so are the error lists in Interfaces that it lacks. A mandatory requirement
// that it cannot fulfil is an error. Without an EVerest at the prefix everything is installed unchanged.
func (i Installation) Install(prefix, executable string, chosen map[string]string) (report []string, err error) {
	target, err := ReadTarget(prefix)
	if err != nil {
		return nil, err
	}
	report = append(report, target.String())
	edit, err := i.manifestFor(prefix, target, chosen)
	if err != nil {
		return report, err
	}
	manifest, err := edit.content()
	if err != nil {
		return report, err
	}
	program, err := os.ReadFile(executable)
	if err != nil {
		return report, fmt.Errorf("everest: cannot read the program to install: %w", err)
	}

	directory := moduleDirectory(prefix, i.Module)
	write := func(path string, mode os.FileMode, content []byte, notes []string) error {
		changed, err := replaceFile(path, mode, content)
		if err != nil {
			return err
		}
		verb := "unchanged "
		if changed {
			verb = "wrote     "
		}
		report = append(report, verb+path)
		for _, note := range notes {
			report = append(report, "          "+note)
		}
		return nil
	}
	// The manifest comes last: with it the manager takes the module for installed.
	if err := write(filepath.Join(directory, i.Module), 0o755, program, nil); err != nil {
		return report, err
	}
	for _, name := range slices.Sorted(maps.Keys(i.Interfaces)) {
		definition, notes, err := target.fitInterface(i.Interfaces[name])
		if err != nil {
			return report, fmt.Errorf("everest: interface %s: %w", name, err)
		}
		if err := write(filepath.Join(dataDirectory(prefix), "interfaces", name+".yaml"), 0o644, definition, notes); err != nil {
			return report, err
		}
	}
	err = write(filepath.Join(directory, manifestFileName), 0o644, manifest, edit.notes)
	return report, err
}

const manifestFileName = "manifest.yaml"

func moduleDirectory(prefix, module string) string {
	return filepath.Join(prefix, "libexec", "everest", "modules", module)
}

func dataDirectory(prefix string) string { return filepath.Join(prefix, "share", "everest") }

// InstalledManifest reads the manifest of a module as it is installed: what the manager reads too. The error is
// fs.ErrNotExist where there is none.
func InstalledManifest(prefix, module string) ([]byte, error) {
	return os.ReadFile(filepath.Join(moduleDirectory(prefix, module), manifestFileName))
}

// InstalledInterfaces reads interface definitions as they are installed: see schema.LoadInterfaces. Without an
// installation at the prefix the set is empty.
func InstalledInterfaces(prefix string, names ...string) (*schema.Definitions, error) {
	if prefix == "" {
		return schema.Merge()
	}
	return schema.LoadInterfaces(os.DirFS(dataDirectory(prefix)), names...)
}

// replaceFile reports whether there was something to replace.
func replaceFile(path string, mode os.FileMode, content []byte) (changed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("everest: cannot install %s: %w", path, err)
		}
	}()
	if info, err := os.Stat(path); err == nil && info.Mode() == mode && info.Size() == int64(len(content)) {
		if present, err := os.ReadFile(path); err == nil && bytes.Equal(present, content) {
			return false, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(mode))
	if err != nil {
		return false, err
	}
	defer file.Cleanup()
	if _, err := file.Write(content); err != nil {
		return false, err
	}
	return true, file.CloseAtomicallyReplace()
}
