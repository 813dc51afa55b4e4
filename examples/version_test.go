package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each program says its name and version, with one dash and with two, and does nothing else then.
func TestProgramsTellTheirVersion(t *testing.T) {
	folder := t.TempDir()
	packages := []string{"everest/everestgen"}
	for _, name := range []string{"agent", "controller", "aggregator", "module", "satctl", "satkeys", "station", "dist", "rpcserver", "campaign"} {
		packages = append(packages, "examples/"+name)
	}
	// A folder with a main function is a program.
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) != len(packages)-1 {
		t.Errorf("there are %d programs, and %d are tested: %v, %v", len(mains), len(packages)-1, mains, err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "codec.notfastpath", "-o", folder)
	for _, one := range packages {
		build.Args = append(build.Args, "../"+one)
	}
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	for _, one := range packages {
		for _, flag := range []string{"-version", "--version"} {
			command := exec.CommandContext(t.Context(), filepath.Join(folder, filepath.Base(one)), flag)
			command.Dir, command.Env = t.TempDir(), append(os.Environ(), "EV_MODULE=")
			output, err := command.CombinedOutput()
			if words := strings.Fields(string(output)); err != nil || len(words) != 2 || strings.Count(string(output), "\n") != 1 {
				t.Errorf("%s %s: %v, %q", one, flag, err, output)
			}
		}
	}
}
