package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var moduleName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

// skeleton writes a whole module: main.go and its test once, and what follows from the manifest each time.
type skeleton struct {
	name, importPath string
	manifest         *install.Manifest
	definitions      *schema.Definitions
	own              []string // interfaces with a file in the module's folder interfaces
}

// firstManifest is the manifest of a module that has none yet.
const firstManifest = `description: The module %s. Change this file, then run go generate.
config:
  serial_number: {description: What the power meter calls itself, type: string, default: none}
provides:
  main: {interface: powermeter, description: The power meter}
requires:
  port: {interface: evse_manager, min_connections: 0, max_connections: 16}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [you]}
`

// writeModule writes the module with this name into the folder out. It keeps manifest.yaml, main.go and main_test.go.
func writeModule(name, out, importPath string, yaml folders) error {
	if !moduleName.MatchString(name) {
		return fmt.Errorf("-module %q: a module's name has letters and digits only and starts with a capital, as in Doorbell", name)
	}
	manifestFile := filepath.Join(out, "manifest.yaml")
	content, err := os.ReadFile(manifestFile)
	if errors.Is(err, fs.ErrNotExist) {
		content, err = fmt.Appendf(nil, firstManifest, name), nil
	}
	if err != nil {
		return err
	}
	s := skeleton{name: name, importPath: importPath}
	if s.manifest, err = install.ParseManifest(content); err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	if s.own, err = interfaceFiles(filepath.Join(out, "interfaces")); err != nil {
		return err
	}
	if len(s.own) > 0 && yaml["interfaces"] == "" {
		yaml["interfaces"] = filepath.Join(out, "interfaces")
	}
	if s.definitions, _, err = load(yaml); err != nil {
		return err
	}
	files, err := generate(s.definitions, importPath, s.interfaces())
	if err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	if files["module.go"], err = s.module(); err != nil {
		return err
	}
	kept := map[string][]byte{"manifest.yaml": content}
	if kept["main.go"], err = s.main(); err != nil {
		return err
	}
	if kept["main_test.go"], err = s.test(); err != nil {
		return err
	}
	for path, content := range kept {
		if _, err := os.Stat(filepath.Join(out, path)); errors.Is(err, fs.ErrNotExist) {
			files[path] = content
		}
	}
	return write(out, files)
}

// interfaceFiles returns the names of the interfaces in a folder, which need not exist.
func interfaceFiles(folder string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".yaml"))
	}
	return names, err
}

func (s skeleton) interfaces() []string {
	used := map[string]bool{}
	for _, provided := range s.manifest.Provides {
		used[provided.Interface] = true
	}
	for _, required := range s.manifest.Requires {
		used[required.Interface] = true
	}
	return slices.Sorted(maps.Keys(used))
}

// module returns module.go: the types that follow from the manifest.
func (s skeleton) module() ([]byte, error) {
	var body strings.Builder
	line := func(text string, arguments ...any) { fmt.Fprintf(&body, text+"\n", arguments...) }
	line("// Config has the parameters of manifest.yaml.")
	line("type Config struct {")
	parameters(line, s.manifest.Config)
	line("}\n")
	fields := namesBesides("Module", "Config")
	var setup strings.Builder
	line("// Module is the module with what its manifest declares.")
	line("type Module struct {")
	line("*everest.Module")
	line("Config Config")
	for _, id := range s.manifest.ImplementationIDs() {
		declared := s.manifest.Provides[id]
		field, pkg := fields.unique(exported(id)), packageName(declared.Interface)
		line("// %s is the implementation %s.", field, id)
		if definition, _ := s.definitions.Interface(declared.Interface); len(definition.Variables) > 0 {
			line("%s %s.Publisher", field, pkg)
			fmt.Fprintf(&setup, "m.%s = %s.NewPublisher(connected.Provides(%q))\n", field, pkg, id)
		} else {
			line("%s *everest.Provided", field)
			fmt.Fprintf(&setup, "m.%s = connected.Provides(%q)\n", field, id)
		}
		if len(declared.Config) > 0 {
			line("%sConfig struct {", field)
			parameters(line, declared.Config)
			line("}")
			fmt.Fprintf(&setup, "if err := connected.DecodeImplementationConfig(%q, &m.%sConfig); err != nil {\nreturn nil, errors.Join(err, connected.Close())\n}\n", id, field)
		}
	}
	for _, id := range s.manifest.RequirementIDs() {
		declared := s.manifest.Requires[id]
		field, pkg := fields.unique(exported(id)), packageName(declared.Interface)
		if declared.MinConnections == 1 && declared.MaxConnections == 1 {
			line("// %s is the connection of the requirement %s.", field, id)
			line("%s %s.Client", field, pkg)
			fmt.Fprintf(&setup, "m.%s = %s.NewClient(connected.Requires(%q)[0])\n", field, pkg, id)
			continue
		}
		line("// %s has the %d to %d connections of the requirement %s.", field, declared.MinConnections, declared.MaxConnections, id)
		line("%s []%s.Client", field, pkg)
		fmt.Fprintf(&setup, "for _, connection := range connected.Requires(%q) {\nm.%s = append(m.%s, %s.NewClient(connection))\n}\n", id, field, field, pkg)
	}
	line("}\n")
	line("// connect connects the module and reads its configuration.")
	line("func connect(ctx context.Context, options everest.Options) (*Module, error) {")
	line("connected, err := everest.Connect(ctx, options)\nif err != nil {\nreturn nil, err\n}")
	line("m := &Module{Module: connected}")
	line("if err := connected.DecodeConfig(&m.Config); err != nil {\nreturn nil, errors.Join(err, connected.Close())\n}")
	body.WriteString(setup.String())
	line("return m, nil\n}")
	return s.goFile(header+"\n", body.String())
}

func parameters(line func(string, ...any), declared map[string]install.Parameter) {
	fields := names{}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		parameter := declared[name]
		goType := map[string]string{"boolean": "bool", "integer": "int", "number": "float64", "string": "string"}[parameter.Type]
		for _, text := range wrap(parameter.Description) {
			line("%s", text)
		}
		line("%s %s `everest:%q`", fields.unique(exported(name)), goType, name)
	}
}

// main returns main.go: the program, with a method for each command of the provided interfaces.
func (s skeleton) main() ([]byte, error) {
	var body, methods, register, embeds, interfaces strings.Builder
	types := namesBesides("Config", "Module")
	for _, name := range s.own {
		variable := parameter(name) + "Interface"
		fmt.Fprintf(&embeds, "//go:embed interfaces/%s.yaml\n%s []byte\n", name, variable)
		fmt.Fprintf(&interfaces, "%q: %s, ", name, variable)
	}
	for _, id := range s.manifest.ImplementationIDs() {
		name := s.manifest.Provides[id].Interface
		definition, _ := s.definitions.Interface(name)
		if len(definition.Commands) == 0 {
			continue
		}
		pkg := packageName(name)
		typeName := types.unique(parameter(id) + "Commands")
		fmt.Fprintf(&register, "%s.Register(m.Provides(%q), %s{m})\n", pkg, id, typeName)
		fmt.Fprintf(&methods, "\n// %s handles the commands of the implementation %s.\ntype %s struct{ *Module }\n", typeName, id, typeName)
		f := newGenerator(s.definitions, s.importPath).newInterfaceFile(pkg)
		f.errorConstants(definition) // they take names first
		commands, err := f.commands(definition)
		if err != nil {
			return nil, err
		}
		for _, c := range commands {
			fmt.Fprintf(&methods, "\n// %s handles the command %s.\n", c.method, c.name)
			failure := fmt.Sprintf("errors.New(%q)", c.name+" is not implemented yet")
			fmt.Fprintf(&methods, "func (%s) %s%s {\n", typeName, c.method, qualified(c.signature(), pkg))
			if c.result != "" {
				fmt.Fprintf(&methods, "var result %s\nreturn result, %s\n}\n", qualified(c.result, pkg), failure)
			} else {
				fmt.Fprintf(&methods, "return %s\n}\n", failure)
			}
		}
	}
	fmt.Fprintf(&body, "//go:generate go run %s/everestgen -module %s -out .\n\n", everestPath, s.name)
	fmt.Fprintf(&body, "var (\n//go:embed manifest.yaml\nmanifest []byte\n%s)\n\n", embeds.String())
	body.WriteString("func main() { os.Exit(program.Main(os.Args[1:], installation(), run)) }\n\n")
	fmt.Fprintf(&body, "func installation() install.Installation {\nreturn install.Installation{Module: %q, Manifest: manifest", s.name)
	if len(s.own) > 0 {
		fmt.Fprintf(&body, ", Interfaces: map[string][]byte{%s}", strings.TrimSuffix(interfaces.String(), ", "))
	}
	body.WriteString("}\n}\n\n// run is the module. It returns when ctx ends or the module cannot work any longer.\n")
	body.WriteString("func run(ctx context.Context, options everest.Options) error {\noptions.Manifest = manifest\nm, err := connect(ctx, options)\n")
	body.WriteString("if err != nil {\nreturn err\n}\ndefer m.Close()\n")
	body.WriteString(register.String())
	body.WriteString("m.OnReady(func(context.Context) error {\n// All modules are ready: publish and call from here on.\nreturn nil\n})\nreturn m.Run(ctx)\n}\n")
	body.WriteString(methods.String())
	comment := fmt.Sprintf("// Command %s is an EVerest module. manifest.yaml declares it, and module.go follows from that by go generate.\n", strings.ToLower(s.name))
	return s.goFile(comment, body.String())
}

// qualified puts the package before the types that it declares itself.
func qualified(expression, pkg string) string {
	return regexp.MustCompile(`(^|[^.\w])([A-Z]\w*)`).ReplaceAllString(expression, "${1}"+pkg+".${2}")
}

// test returns main_test.go: the module among fakes.
func (s skeleton) test() ([]byte, error) {
	var body, config strings.Builder
	config.WriteString("Manifest: manifest,\n")
	values := func(declared map[string]install.Parameter) string {
		var members []string
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			if parameter := declared[name]; parameter.Default == nil {
				members = append(members, fmt.Sprintf("%q: %s", name, exampleValue(parameter)))
			}
		}
		return strings.Join(members, ", ")
	}
	if given := values(s.manifest.Config); given != "" {
		fmt.Fprintf(&config, "Config: map[string]any{%s},\n", given)
	}
	var implementations []string
	for _, id := range s.manifest.ImplementationIDs() {
		if given := values(s.manifest.Provides[id].Config); given != "" {
			implementations = append(implementations, fmt.Sprintf("%q: {%s}", id, given))
		}
	}
	if len(implementations) > 0 {
		fmt.Fprintf(&config, "ImplementationConfig: map[string]map[string]any{%s},\n", strings.Join(implementations, ", "))
	}
	var connections []string
	for _, id := range s.manifest.RequirementIDs() {
		if s.manifest.Requires[id].MinConnections == 0 {
			connections = append(connections, fmt.Sprintf("%q: 1", id))
		}
	}
	if len(connections) > 0 {
		fmt.Fprintf(&config, "Connections: map[string]int{%s},\n", strings.Join(connections, ", "))
	}
	body.WriteString("// The module becomes ready among fakes of what it requires. The test also fails for each message that EVerest would not take.\n")
	body.WriteString("func TestModule(t *testing.T) {\n")
	if len(s.own) > 0 {
		body.WriteString("definitions, err := schema.BuiltIn()\n")
		for _, name := range s.own {
			fmt.Fprintf(&body, "if err == nil {\ndefinitions, err = definitions.WithInterface(%q, %sInterface)\n}\n", name, parameter(name))
		}
		body.WriteString("if err != nil {\nt.Fatal(err)\n}\n")
		config.WriteString("Definitions: definitions,\n")
	}
	fmt.Fprintf(&body, "station := everesttest.NewStation(t, everesttest.StationConfig{\n%s}, run)\n", config.String())
	body.WriteString("// Drive the module by station.Call and station.Fake(requirement), and say by station.Expect what it has to do.\n")
	body.WriteString("if events := station.Events(); len(events) > 0 {\nt.Errorf(\"the module does something by itself: %v\", events)\n}\n}\n")
	return s.goFile("", body.String())
}

func exampleValue(parameter install.Parameter) string {
	if len(parameter.Enum) > 0 {
		return string(parameter.Enum[0])
	}
	switch parameter.Type {
	case "boolean":
		return "false"
	case "string":
		return `"x"`
	}
	bound := 0.0
	switch {
	case parameter.Minimum != nil:
		bound = *parameter.Minimum
	case parameter.Maximum != nil && *parameter.Maximum < 0:
		bound = *parameter.Maximum
	}
	return fmt.Sprint(bound)
}

// goFile returns a formatted file of package main with the imports that it uses.
func (s skeleton) goFile(comment, body string) ([]byte, error) {
	known := map[string]string{
		"context": "context", "errors": "errors", "json": "encoding/json", "os": "os", "testing": "testing",
		"everest": everestPath, "install": everestPath + "/install", "program": everestPath + "/program", "schema": everestPath + "/schema",
		"bindings": everestPath + "/bindings", "everesttest": everestPath + "/everesttest", "types": s.importPath + "/types",
	}
	for _, name := range s.interfaces() {
		known[packageName(name)] = s.importPath + "/" + packageName(name)
	}
	var standard, other []string
	for name, path := range known {
		if !regexp.MustCompile(`(^|[^.\w"])` + name + `\.[A-Z]`).MatchString(body) {
			continue
		}
		if strings.Contains(path, ".") || strings.HasPrefix(path, s.importPath) {
			other = append(other, fmt.Sprintf("%q\n", path))
		} else {
			standard = append(standard, fmt.Sprintf("%q\n", path))
		}
	}
	if strings.Contains(body, "//go:embed") {
		standard = append(standard, "_ \"embed\"\n")
	}
	slices.SortFunc(standard, func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(a, "_ "), strings.TrimPrefix(b, "_ "))
	})
	slices.Sort(other)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%spackage main\n\nimport (\n%s\n%s)\n\n%s", comment, strings.Join(standard, ""), strings.Join(other, ""), body)
	formatted, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the generated file is not valid Go: %w\n%s", err, out.Bytes())
	}
	return formatted, nil
}
