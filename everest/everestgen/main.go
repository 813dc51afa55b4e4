// Everestgen writes typed Go bindings of EVerest interfaces: a package for the types, and for each interface one with the
// commands to answer or to call, the variables to publish or to hear, and the types of its errors.
//
//	go run github.com/remotechargeport/remotechargeport/everest/everestgen -interfaces DIR -types DIR -errors DIR -out DIR [names...]
//
// The folders are those of an EVerest installation (share/everest) or source tree. With -facts DIR instead, the definitions
// come from files like those of package everest/definitions: interfaces.json, types.json and errors.json. Without names all
// interfaces are generated. The import path of the folder -out is found by its go.mod, or given with -import.
//
// Files that were generated into these packages before and are not any more are removed; others stay.
package main

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest"
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
	interfaces := flags.String("interfaces", "", "folder with the interfaces' YAML files")
	types := flags.String("types", "", "folder with the types' YAML files")
	errorLists := flags.String("errors", "", "folder with the errors' YAML files")
	facts := flags.String("facts", "", "folder with interfaces.json, types.json and errors.json, instead of the three above")
	out := flags.String("out", "", "folder to write the packages to")
	importPath := flags.String("import", "", "import path of -out; found by its go.mod when left out")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *out == "" || (*facts == "") == (*interfaces == "") {
		return fmt.Errorf("-out and either -interfaces or -facts are needed")
	}
	definitions, err := load(*facts, folders{"interfaces": *interfaces, "types": *types, "errors": *errorLists})
	if err != nil {
		return err
	}
	if *importPath == "" {
		if *importPath, err = importPathOf(*out); err != nil {
			return err
		}
	}
	names := flags.Args()
	if len(names) == 0 {
		names = definitions.InterfaceNames()
	}
	files, err := generate(definitions, *importPath, names)
	if err != nil {
		return err
	}
	return write(*out, files)
}

func load(facts string, yaml folders) (*everest.Definitions, error) {
	if facts == "" {
		return everest.LoadDefinitionsYAML(yaml)
	}
	contents := map[string][]byte{}
	for _, name := range []string{"interfaces.json", "types.json", "errors.json"} {
		content, err := os.ReadFile(filepath.Join(facts, name))
		if err != nil {
			return nil, err
		}
		contents[name] = content
	}
	return everest.LoadDefinitionsJSON(contents["interfaces.json"], contents["types.json"], contents["errors.json"])
}

// folders puts folders from anywhere side by side. One that is empty is not there.
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
