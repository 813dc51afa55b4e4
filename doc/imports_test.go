package doc

import (
	"context"
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var writeImports = flag.Bool("imports.write", false, "write .ci/imports.txt anew from the packages as they are")

const importsFile = "../.ci/imports.txt"

// modulePrograms run on a board beside others.
var modulePrograms = []string{"examples/agent", "examples/controller", "examples/aggregator"}

// largePackages are those of the standard library that .ci/imports.txt names. Most of the others come with the runtime,
// crypto/tls or net, and change with each version of Go.
var largePackages = []string{
	"crypto/tls", "database/sql", "encoding/gob", "encoding/json", "encoding/xml", "expvar", "go/ast", "go/parser", "html/template",
	"image", "math/big", "net", "net/http", "net/http/httptest", "net/rpc", "reflect", "regexp", "runtime/pprof", "testing", "text/template",
}

// structCodec is linked only where package rpc/codec is imported, together with what it imports.
var structCodec = []string{"github.com/ugorji/go/codec", "net/rpc", "encoding/gob", "html/template", "text/template"}

// importGraph returns the imports of each package that the repository compiles on Linux.
func importGraph(t *testing.T) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "../...")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	graph := make(map[string][]string)
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		graph[fields[0]] = fields[1:]
	}
	return graph
}

// linkedBy returns all packages that an importer of name compiles, name included, sorted.
func linkedBy(graph map[string][]string, name string) []string {
	found := map[string]bool{name: true}
	for waiting := []string{name}; len(waiting) > 0; waiting = waiting[1:] {
		for _, imported := range graph[waiting[0]] {
			if !found[imported] {
				found[imported] = true
				waiting = append(waiting, imported)
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// publicPackages returns the folders of the packages in .ci/api, and of the module programs.
func publicPackages(t *testing.T) []string {
	t.Helper()
	var folders []string
	for file := range exportedOfAll(t) {
		folders = append(folders, strings.ReplaceAll(strings.TrimSuffix(file, ".txt"), ".", "/"))
	}
	return slices.Sorted(slices.Values(append(folders, modulePrograms...)))
}

// ofAnotherModule reports whether an importer sees the package as one of another module. Who of this module may know whom
// is held by TestNobodyKnowsWhoIsAbove.
func ofAnotherModule(name string) bool {
	domain, _, _ := strings.Cut(name, "/")
	return strings.Contains(domain, ".") && !strings.HasPrefix(name, module+"/") && !strings.Contains(name, "/internal")
}

// TestImports compares the packages that an importer of each public package compiles with .ci/imports.txt: those of other
// modules, and the large ones of the standard library.
func TestImports(t *testing.T) {
	graph := importGraph(t)
	var lines strings.Builder
	for _, folder := range publicPackages(t) {
		lines.WriteString(folder + "\n")
		for _, name := range linkedBy(graph, module+"/"+folder) {
			if slices.Contains(largePackages, name) || ofAnotherModule(name) {
				lines.WriteString("\t" + name + "\n")
			}
		}
	}
	if *writeImports {
		if err := os.WriteFile(importsFile, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	promised, err := os.ReadFile(importsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(promised), "\n"), strings.Split(lines.String(), "\n")); diff != "" {
		t.Errorf("an importer compiles other packages than in .ci/imports.txt (-promised +imported). Where the change is meant, run\n"+
			"	go test ./doc -run '^TestImports$' -imports.write\n%s", diff)
	}
}

// TestOnlyUsersOfStructsLinkTheirCodec wants the codec of structs to be in no public package and no module program.
func TestOnlyUsersOfStructsLinkTheirCodec(t *testing.T) {
	graph := importGraph(t)
	for _, folder := range publicPackages(t) {
		linked := linkedBy(graph, module+"/"+folder)
		if len(linked) < 20 {
			t.Errorf("%s: go list knows only %d packages", folder, len(linked))
		}
		for _, forbidden := range structCodec {
			if has := slices.Contains(linked, forbidden); has != (folder == "rpc/codec") {
				t.Errorf("%s links %s: %v", folder, forbidden, has)
			}
		}
	}
}
