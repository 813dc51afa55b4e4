package everest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Installation is what a module brings into an EVerest installation beside its
// program.
type Installation struct {
	// Module is the module's name, as `active_modules.<id>.module` refers to it.
	Module string
	// Manifest is the module's manifest.yaml.
	Manifest []byte
	// Interfaces are the YAML definitions, by interface name, of the interfaces
	// that EVerest itself does not have.
	Interfaces map[string][]byte
}

// Install puts the module where a manager with the installation prefix looks for
// it: the program and its manifest below libexec/everest/modules, interfaces
// below share/everest/interfaces. The program is copied from the file at
// executable, for instance what os.Executable returned. Each file is replaced at
// once, so a program that is running is not disturbed.
func (i Installation) Install(prefix, executable string) error {
	program, err := os.Open(executable)
	if err != nil {
		return fmt.Errorf("everest: cannot read the program to install: %w", err)
	}
	defer program.Close()

	directory := filepath.Join(prefix, "libexec", "everest", "modules", i.Module)
	if err := replaceFile(filepath.Join(directory, i.Module), 0o755, func(w io.Writer) error {
		_, err := io.Copy(w, program)
		return err
	}); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(directory, "manifest.yaml"), 0o644, writing(i.Manifest)); err != nil {
		return err
	}
	for name, definition := range i.Interfaces {
		path := filepath.Join(prefix, "share", "everest", "interfaces", name+".yaml")
		if err := replaceFile(path, 0o644, writing(definition)); err != nil {
			return err
		}
	}
	return nil
}

func writing(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

func replaceFile(path string, mode os.FileMode, write func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("everest: cannot install %s: %w", path, err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	// After the rename there is nothing left to remove.
	defer os.Remove(file.Name())
	if err := write(file); err != nil {
		file.Close()
		return err
	}
	if err := file.Chmod(mode); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
