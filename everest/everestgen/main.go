// Everestgen writes typed Go bindings of EVerest interfaces: one package with the types, and one package for each
// interface with its commands, its variables and the types of its errors.
//
//	go run github.com/remotechargeport/remotechargeport/everest/everestgen -module Doorbell
//
// writes a whole module into the folder doorbell: a manifest, a program with types for what the manifest declares, and a
// test that passes. After a change of the manifest, go generate writes module.go and the bindings anew.
//
//	go run github.com/remotechargeport/remotechargeport/everest/everestgen -out DIR [-interfaces DIR] [-types DIR -errors DIR] [names...]
//
// Without -interfaces the definitions are those of EVerest 2026.02.0 (package everest/schema). With -interfaces alone,
// the YAML files of that folder may use EVerest's own types and errors. With -types or -errors as well, nothing is
// built in: the folders are those of an EVerest installation (share/everest), of its source tree or of a vendor.
//
// names selects interfaces. Without names everestgen writes all interfaces of -interfaces, or all that are built in.
// -import sets the import path of -out. By default the import path follows from the go.mod above -out.
//
// Everestgen removes the files that an earlier run has generated into the same packages and this run has not. Other
// files stay.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "everestgen:", err)
		os.Exit(1)
	}
}

func run(arguments []string, output io.Writer) error {
	flags := flag.NewFlagSet("everestgen", flag.ContinueOnError)
	flags.SetOutput(output)
	yaml := folders{}
	for _, name := range []string{"interfaces", "types", "errors"} {
		flags.Func(name, "`folder` with the YAML files of "+name, func(folder string) error {
			yaml[name] = folder
			return nil
		})
	}
	out := flags.String("out", "", "`folder` to write the packages to")
	importPath := flags.String("import", "", "import `path` of -out; by default it follows from the go.mod above -out")
	module := flags.String("module", "", "`name` of a module to write whole: manifest, program and test; -out is then its name in lower case by default")
	version := flags.Bool("version", false, "print the version and end")
	flags.Usage = func() {
		fmt.Fprint(output, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *version {
		_, err := fmt.Fprintln(output, "everestgen", everest.Version())
		return err
	}
	if *out == "" {
		*out = strings.ToLower(*module)
	}
	if *out == "" {
		return errors.New("-out is missing; see -h")
	}
	if *module != "" {
		return runModule(*module, *out, *importPath, yaml, flags.Args())
	}
	loaded, names, err := load(yaml)
	if err != nil {
		return err
	}
	if *importPath == "" {
		if *importPath, err = importPathOf(*out); err != nil {
			return err
		}
	}
	if flags.NArg() > 0 {
		names = flags.Args()
	}
	files, err := generate(loaded, *importPath, names)
	if err != nil {
		return err
	}
	return write(*out, files)
}

const usage = `Everestgen writes Go code from EVerest's interface definitions.

A whole module, in the folder doorbell of a Go module (go mod init makes one):

  everestgen -module Doorbell
  go test ./doorbell

It writes manifest.yaml, main.go and main_test.go once, for you to change, and module.go
and the packages of the interfaces each time: run go generate after a change of the
manifest. Interfaces of your own go to the folder interfaces beside the manifest.

Only the typed packages of interfaces, here of evse_manager and of one of a vendor:

  everestgen -out internal/everest evse_manager
  everestgen -out internal/everest -interfaces interfaces lamp

Without names all interfaces of -interfaces are written, or all of EVerest 2026.02.0.

Flags:
`

func runModule(name, out, importPath string, yaml folders, arguments []string) error {
	if len(arguments) > 0 {
		return fmt.Errorf("unexpected argument %q: with -module the manifest names the interfaces", arguments[0])
	}
	if importPath == "" {
		var err error
		if importPath, err = importPathOf(out); err != nil {
			return err
		}
	}
	return writeModule(name, out, importPath, yaml)
}

// load returns the definitions in the folders, and the names of the interfaces to generate by default.
func load(yaml folders) (*schema.Definitions, []string, error) {
	if yaml["types"] != "" || yaml["errors"] != "" {
		loaded, err := schema.LoadYAML(yaml)
		return loaded, loaded.InterfaceNames(), err
	}
	known, err := schema.BuiltIn()
	if err != nil || yaml["interfaces"] == "" {
		return known, known.InterfaceNames(), err
	}
	paths, err := filepath.Glob(filepath.Join(yaml["interfaces"], "*.yaml"))
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if known, err = known.WithInterface(name, content); err != nil {
			return nil, nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("no YAML files in %s", yaml["interfaces"])
	}
	return known, names, nil
}

// folders is a file system whose top folders lie anywhere. A folder without a path does not exist.
type folders map[string]string

// Open implements fs.FS.
func (f folders) Open(name string) (fs.File, error) {
	first, rest, _ := strings.Cut(name, "/")
	folder := f[first]
	if folder == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if rest == "" {
		rest = "."
	}
	return os.DirFS(folder).Open(rest)
}
