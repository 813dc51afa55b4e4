package doc

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sampleImports are what the README's samples may name, by the name they use.
var sampleImports = map[string]string{
	"context": "context", "net": "net", "time": "time",
	"rpc": module + "/rpc", "everest": module + "/everest", "satellite": module + "/satellite",
}

// TestSamplesCompile compiles each sample of the README as the body of a function that has ctx and options and returns
// an error. A sample that begins with "package" is compiled as it is.
func TestSamplesCompile(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	compiled := 0
	for _, page := range pages(t) {
		if page.path != "README.md" {
			continue
		}
		blocks, _ := page.fences()
		for _, block := range blocks {
			if block.language != "go" {
				continue
			}
			compiled++
			file := filepath.Join(t.TempDir(), "sample.go")
			if err := os.WriteFile(file, []byte(sampleProgram(block.lines)), 0o600); err != nil {
				t.Fatal(err)
			}
			// The package exists for the compiler alone, inside the module: the sample may import what a user may.
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "doc/sample/sample.go"): file}})
			if err != nil {
				t.Fatal(err)
			}
			overlayFile := file + ".json"
			if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlayFile, "-o", os.DevNull, "./doc/sample")
			build.Dir = root
			if output, err := build.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: the sample does not compile: %v\n%s", page.path, block.line, err, output)
			}
		}
	}
	if compiled == 0 {
		t.Error("the README has no samples")
	}
}

func sampleProgram(lines []string) string {
	body := strings.Join(lines, "\n")
	if strings.HasPrefix(body, "package ") {
		return body
	}
	var program strings.Builder
	program.WriteString("package main\n\nimport (\n")
	signature := "func sample(ctx context.Context, options everest.Options) error {\n"
	for name, path := range sampleImports {
		if strings.Contains(signature+body, name+".") {
			program.WriteString("\t" + strconv.Quote(path) + "\n")
		}
	}
	program.WriteString(")\n\nfunc main() {}\n\n" + signature + body + "\n}\n")
	return program.String()
}
