package main

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/google/go-cmp/cmp"
)

var fromYAML = []string{"-interfaces", "testdata/interfaces", "-types", "testdata/types", "-errors", "testdata/errors"}

// written runs the generator and returns the generated files.
func written(t *testing.T, arguments ...string) map[string]string {
	t.Helper()
	out := t.TempDir()
	arguments = append([]string{"-out", out}, arguments...)
	if err := run(arguments, io.Discard); err != nil {
		t.Fatal(err)
	}
	return read(t, out)
}

func read(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.HasPrefix(content, []byte(header)) {
			files[filepath.ToSlash(strings.TrimPrefix(path, folder))] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

const modulePath = "github.com/remotechargeport/remotechargeport/everest/"

// The committed bindings are equal to what the generator writes.
func TestCommittedBindingsAreUpToDate(t *testing.T) {
	for _, test := range []struct {
		committed string
		arguments []string
	}{
		{"../bindings", []string{"-import", modulePath + "bindings", "auth_token_provider", "evse_manager"}},
		{"../../examples/module", []string{"-import", strings.TrimSuffix(modulePath, "everest/") + "examples/module", "-interfaces", "../../examples/module/interfaces"}},
		{"internal/sample", append([]string{"-import", modulePath + "everestgen/internal/sample"}, fromYAML...)},
	} {
		if diff := cmp.Diff(read(t, test.committed), written(t, test.arguments...)); diff != "" {
			t.Errorf("%s is not what go generate makes (-committed +generated):\n%s", test.committed, diff)
		}
	}
}

func TestGeneratedCodeIsFormattedAndReproducible(t *testing.T) {
	for _, input := range [][]string{nil, fromYAML} {
		arguments := append([]string{"-import", "example.org/x"}, input...)
		first, second := written(t, arguments...), written(t, arguments...)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%v: two runs differ:\n%s", input, diff)
		}
		for path, content := range first {
			formatted, err := format.Source([]byte(content))
			if err != nil || string(formatted) != content {
				t.Errorf("%v: %s is not formatted: %v", input, path, err)
			}
		}
	}
}

// The bindings of all built-in interfaces compile in a module of their own, and their types keep the values of a real
// station.
func TestBindingsOfAllInterfaces(t *testing.T) {
	firmware := firmwareFolder(t)
	if err := os.CopyFS(firmware, os.DirFS("testdata/firmware")); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-out", firmware}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if output, err := goTest(t, firmware); err != nil || bytes.Count(output, []byte("\n")) < 20 {
		t.Errorf("%v: %s", err, output)
	}
}

// firmwareFolder returns the folder of a Go module that uses this repository.
func firmwareFolder(t *testing.T) string {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	firmware := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			ours := strings.TrimSuffix(modulePath, "/everest/")
			content = bytes.Replace(content, []byte("module "+ours), []byte("module example.org/firmware"), 1)
			content = fmt.Appendf(content, "require %s v0.0.0\nreplace %s => %s\n", ours, ours, repository)
		}
		if err := os.WriteFile(filepath.Join(firmware, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return firmware
}

func goTest(t *testing.T, folder string) ([]byte, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "test", "-mod=mod", "-trimpath", "-vet=off", "./...")
	command.Dir = folder
	return command.CombinedOutput()
}

// A written module compiles and its test passes as it is: one of the first manifest, and one that has everything a manifest
// may have. What a person has changed stays at the next run.
func TestWrittenModulesPass(t *testing.T) {
	firmware := firmwareFolder(t)
	tower := filepath.Join(firmware, "tower")
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	manifest := `description: Provides and requires everything
config:
  name: {description: "its name, without a default", type: string}
  level: {description: a level, type: integer, minimum: 3}
  share: {description: a share, type: number, default: 0.5}
  loud: {description: whether it is loud, type: boolean, default: true}
metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [you]}
provides:
  own: {interface: own_bell, description: the bell, config: {tone: {description: a tone, type: string, enum: [low, high]}}}
`
	requires := "requires:\n  bells: {interface: own_bell, min_connections: 0, max_connections: 3}\n"
	for _, name := range known.InterfaceNames() {
		manifest += "  " + name + ": {interface: " + name + ", description: provided}\n"
		requires += "  r_" + name + ": {interface: " + name + "}\n"
	}
	bell := "description: A bell\ncmds:\n  ring: {description: Rings, arguments: {how: {description: how, type: string, enum: [low, high]}}}\nvars:\n  rung: {description: times, type: integer}\n"
	if err := os.MkdirAll(filepath.Join(tower, "interfaces"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"manifest.yaml": manifest + requires, "interfaces/own_bell.yaml": bell} {
		if err := os.WriteFile(filepath.Join(tower, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	doorbell := filepath.Join(firmware, "doorbell")
	for _, arguments := range [][]string{{"-module", "Doorbell", "-out", doorbell}, {"-module", "Tower", "-out", tower}, {"-module", "Tower", "-out", tower}} {
		if err := run(arguments, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	output, err := goTest(t, firmware)
	for _, want := range []string{"firmware/doorbell\t", "firmware/tower\t"} {
		if err != nil || !strings.Contains(string(output), "ok  \texample.org/"+want) {
			t.Fatalf("%v: %s", err, output)
		}
	}
	program := filepath.Join(doorbell, "main.go")
	if err := os.WriteFile(program, []byte("package main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(doorbell, "module.go")); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-module", "Doorbell", "-out", doorbell}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(program); err != nil || string(content) != "package main\n" {
		t.Errorf("the changed program is %q, %v", content, err)
	}
	if _, err := os.Stat(filepath.Join(doorbell, "module.go")); err != nil {
		t.Error(err)
	}
}

func TestImportPathIsFound(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte("// ours\nmodule example.org/firmware\n\ngo 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for below, want := range map[string]string{"": "example.org/firmware", "internal/everest": "example.org/firmware/internal/everest"} {
		if got, err := importPathOf(filepath.Join(folder, below)); err != nil || got != want {
			t.Errorf("%s: %s, %v", below, got, err)
		}
	}
	if err := run(append([]string{"-out", filepath.Join(folder, "gen")}, fromYAML...), io.Discard); err != nil {
		t.Fatal(err)
	}
	lamp := read(t, filepath.Join(folder, "gen"))["/lamp/lamp.go"]
	if !strings.Contains(lamp, `"example.org/firmware/gen/types"`) {
		t.Error("the types are imported from elsewhere")
	}
}

func TestStaleFilesAreRemoved(t *testing.T) {
	out := t.TempDir()
	arguments := append([]string{"-out", out, "-import", "example.org/x"}, fromYAML...)
	if err := run(arguments, io.Discard); err != nil {
		t.Fatal(err)
	}
	stale, own := filepath.Join(out, "types", "old_types.go"), filepath.Join(out, "types", "own.go")
	for path, content := range map[string]string{stale: header + "package types\n", own: "package types\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(arguments, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("a file that is not generated any more is still there")
	}
	if _, err := os.Stat(own); err != nil {
		t.Error("a file that was not generated is gone")
	}
}

func TestRunErrors(t *testing.T) {
	out := t.TempDir()
	for _, test := range []struct {
		arguments []string
		want      string
	}{
		{nil, "-out is missing"},
		{[]string{"-out", out, "-interfaces", out}, "no YAML files in " + out},
		{[]string{"-out", out, "-import", "x", "-interfaces", "testdata/interfaces"}, "interface lamp"},
		{[]string{"-nonsense"}, "nonsense"},
		{[]string{"-module", "door-bell", "-out", out, "-import", "x"}, "a module's name has letters and digits only"},
		{[]string{"-module", "Doorbell", "-out", out, "-import", "x", "evse_manager"}, "with -module the manifest names the interfaces"},
		{append([]string{"-out", out}, fromYAML...), "there is no go.mod above"},
		{append(append([]string{"-out", out, "-import", "x"}, fromYAML...), "torch"), "there is no interface torch"},
	} {
		if err := run(test.arguments, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.arguments, err, test.want)
		}
	}
}

func TestGenerateErrors(t *testing.T) {
	for _, test := range []struct{ interfaces, types, want string }{
		{`{"a_b":{},"ab":{}}`, `{}`, "interfaces a_b and ab would both be package ab"},
		{`{"a":{"vars":{"v":{"$ref":"/t#/Gone"}}}}`, `{}`, "interface a: variable v: there is no type /t#/Gone"},
		{`{"a":{"cmds":{"c":{"result":{"$ref":"/t#/Gone"}}}}}`, `{}`, "command c: result: there is no type"},
		{`{"a":{"cmds":{"c":{"arguments":{"x":{"$ref":"/t#/Gone"}}}}}}`, `{}`, "command c: argument x: there is no type"},
		{`{"a":{"vars":{"v":{"$ref":"/t#/T"}}}}`, `{"/t#/T":{"type":"object","properties":{"p":{"$ref":"/t#/Gone"}}}}`, "type /t#/T: T.p: there is no type"},
		{`{"a":{"vars":{"v":{"$ref":"/t#/T"}}}}`, `{"/t#/T":{"$ref":"/t#/T"}}`, "a chain of references without end"},
		{`{"a":{"vars":{"v":{"$ref":"/t#/T"}}}}`, `{"/t#/T":{"type":"object","properties":{"p,q":{}}}}`, `property "p,q" cannot be named`},
		{`{"a":{"vars":{"v":{"$ref":"/t#/T"}}}}`, `{"/t#/T":{"type":"object","properties":3}}`, "properties are not an object"},
	} {
		definitions, err := schema.LoadJSON([]byte(`{"interfaces":`+test.interfaces+`}`), []byte(`{"types":`+test.types+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := generate(definitions, "x", definitions.InterfaceNames()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: error %v, want %q", test.interfaces, test.types, err, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"energy_Wh_import": "EnergyWhImport", "id": "ID", "id_token": "IDToken", "VAR": "VAR", "3ph": "X3ph", "": "Empty", "-": "Empty", "a-b.c": "ABC", "über": "Über", "日": "X日",
	} {
		if got := exported(in); got != want {
			t.Errorf("exported(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[[2]string]string{
		{"Authorization", "AuthorizationType"}: "AuthorizationType", {"TextMessage", "MessageContent"}: "TextMessageContent",
		{"EvseManager", "Evse"}: "EvseManagerEvse", {"Type", "Typed"}: "TypeTyped", {"Units", "Units"}: "Units", {"A", "2nd"}: "A2nd",
	} {
		if got := joined(in[0], in[1]); got != want {
			t.Errorf("joined(%q, %q) = %q, want %q", in[0], in[1], got, want)
		}
	}
	for in, want := range map[string]string{"2nd": "2nd", "Xray": "Xray", "a": "A", "": "Empty"} {
		if got := part(in); got != want {
			t.Errorf("part(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"connector_id": "connectorID", "id": "id", "type": "typeArgument", "ctx": "ctxArgument", "URLPath": "urlPath", "types": "typesArgument", "VAR": "var" + "Argument", "id_token": "idToken",
	} {
		if got := parameter(in); got != want {
			t.Errorf("parameter(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"evse_manager": "evsemanager", "power_supply_DC": "powersupplydc", "types": "interfacetypes", "type": "interfacetype", "main": "interfacemain", "3d": "interface3d"} {
		if got := packageName(in); got != want {
			t.Errorf("packageName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWrapLeavesNoMarks(t *testing.T) {
	lines := wrap("# a heading - " + strings.Repeat("word ", 40) + "\x00\u200b - item\n//go:build ignore")
	for _, line := range lines {
		if len(line) > 120 || strings.HasPrefix(line, "// #") || strings.HasPrefix(line, "// -") || strings.HasPrefix(line, "//go:") || strings.ContainsAny(line, "\x00\n") {
			t.Errorf("%q", line)
		}
	}
	if len(lines) < 2 {
		t.Errorf("%d lines", len(lines))
	}
}
