package install

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest/durable"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Installation describes the parts of a module, besides its program, to install in EVerest.
type Installation struct {
	// Module is the module's name, as `active_modules.<id>.module` refers to it.
	Module string
	// Manifest is the module's complete manifest.yaml. Install leaves out the optional parts that the installed EVerest
	// lacks.
	Manifest []byte
	// Interfaces holds YAML definitions by interface name, for the interfaces that EVerest itself lacks.
	Interfaces map[string][]byte
	// Options lists the choices that a person has at the installation.
	Options []Option

	mistake error // of Extended
}

// Option is a choice that must be made at the installation, because it changes the manifest.
type Option struct {
	// Name is the option's name on the command line, without a dash.
	Name string
	// Usage explains the value in a few words.
	Usage string
	// Apply changes the manifest. given is false when the command line lacks the option. Apply may then keep the choice
	// of the manifest that is already installed.
	Apply func(edit *ManifestEdit, value string, given bool) error
}

// Install writes the module into the EVerest installation at prefix. The program and the manifest go below
// libexec/everest/modules, the interfaces below share/everest/interfaces. executable is the path of the program to
// copy. To install the running program, pass the path that os.Executable returns. chosen has the values of Options by
// name. The report has a line for each part that was written, left unchanged or left out. When Install fails, it
// returns both the report so far and the error.
//
// Each file is replaced atomically, and only when its content or its mode differs. So a running program is not
// disturbed, and a second call changes nothing.
//
// The manifest is adapted to the installed EVerest. Install leaves out optional requirements and provided
// implementations whose interface EVerest lacks. In the module's own interfaces it leaves out references to error lists
// that EVerest lacks. A mandatory requirement that EVerest cannot fulfil is an error. When there is no EVerest at
// prefix, everything is installed unchanged.
func (i Installation) Install(prefix, executable string, chosen map[string]string) (report []string, err error) {
	if i.mistake != nil {
		return nil, i.mistake
	}
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
	// The manifest is written last, because the manager treats a module with a manifest as installed.
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

// InstalledManifest returns the manifest of a module from the installation at prefix. The error matches fs.ErrNotExist
// when the manifest is missing.
func InstalledManifest(prefix, module string) ([]byte, error) {
	return os.ReadFile(filepath.Join(moduleDirectory(prefix, module), manifestFileName))
}

// InstalledInterfaces reads the named interface definitions from the installation at prefix, as schema.LoadInterfaces
// does. The set is empty when there is no installation.
func InstalledInterfaces(prefix string, names ...string) (*schema.Definitions, error) {
	if prefix == "" {
		return schema.Merge()
	}
	return schema.LoadInterfaces(os.DirFS(dataDirectory(prefix)), names...)
}

// replaceFile reports whether it wrote the file. It does not write a file that has the mode and the content already.
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
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	return true, durable.Replace(path, content, mode)
}
