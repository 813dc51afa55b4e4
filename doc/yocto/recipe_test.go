// Package yocto holds nothing but the test of the recipe.
package yocto

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/install"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLicenceFile(t *testing.T) {
	sum := fmt.Sprintf("%x", md5.Sum([]byte(read(t, root+"/LICENSE"))))
	if !strings.Contains(read(t, "remotechargeport_git.bb"), "/LICENSE;md5="+sum+`"`) {
		t.Errorf("the recipe has another sum than the licence file's, %s", sum)
	}
}

// task returns the shell function of a task.
func task(t *testing.T, name string) string {
	t.Helper()
	match := regexp.MustCompile(`(?ms)^` + name + `\(\) \{\n(.*?)^\}`).FindStringSubmatch(read(t, "remotechargeport_git.bb"))
	if match == nil {
		t.Fatalf("the recipe has no %s", name)
	}
	return match[1]
}

// The shell functions of the recipe run, with a compiler that only notes what it is told.
func TestTasks(t *testing.T) {
	directory := t.TempDir()
	build, image, calls := filepath.Join(directory, "build"), filepath.Join(directory, "image"), filepath.Join(directory, "calls")
	source := filepath.Join(directory, "source", "src", "github.com", "remotechargeport", "remotechargeport")
	if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(checkout, source); err != nil {
		t.Fatal(err)
	}
	compiler := filepath.Join(directory, "go")
	script := "#!/bin/sh\necho \"$@\" >> " + calls + "\nwhile [ \"$1\" != -o ]; do shift; done\nmkdir -p \"$(dirname \"$2\")\"\necho program > \"$2\"\ntest -d \"$3\"\n"
	if err := os.WriteFile(compiler, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"do_compile", "do_install"} {
		command := exec.CommandContext(t.Context(), "sh", "-euc", task(t, name))
		command.Env = append(os.Environ(), "GO="+compiler, "GO_IMPORT=github.com/remotechargeport/remotechargeport",
			"S="+filepath.Join(directory, "source"), "B="+build, "D="+image,
			"libexecdir=/usr/libexec", "datadir=/usr/share", "systemd_system_unitdir=/usr/lib/systemd/system")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, output)
		}
	}

	// What examples/dist gives to the compiler.
	dist := read(t, root+"/examples/dist/build.go")
	tags := regexp.MustCompile(`const tags = "(.*)"`).FindStringSubmatch(dist)[1]
	linker := regexp.MustCompile(`const linkerFlags = "(.*)"`).FindStringSubmatch(dist)[1]
	told := strings.Split(strings.TrimSpace(read(t, calls)), "\n")
	for _, call := range told {
		if !strings.HasPrefix(call, "build -trimpath -tags "+tags+" -ldflags "+linker+" -o ") {
			t.Errorf("the compiler is told %q, examples/dist has the tags %s and the linker's flags %s", call, tags, linker)
		}
	}
	if len(told) != 3 {
		t.Errorf("%d programs are built, want 3", len(told))
	}
	for _, installation := range []install.Installation{satellite.AgentInstallation(), satellite.ControllerInstallation(), aggregator.Installation()} {
		modules := filepath.Join(image, "usr/libexec/everest/modules", installation.Module)
		same(t, filepath.Join(modules, "manifest.yaml"), installation.Manifest)
		same(t, filepath.Join(modules, installation.Module), []byte("program\n"))
		for name, definition := range installation.Interfaces {
			same(t, filepath.Join(image, "usr/share/everest/interfaces", name+".yaml"), definition)
		}
	}
	units, err := filepath.Glob(root + "/doc/systemd/evsatellite-*")
	if err != nil || len(units) == 0 {
		t.Fatalf("unit files %v, %v", units, err)
	}
	for _, unit := range units {
		same(t, filepath.Join(image, "usr/lib/systemd/system", filepath.Base(unit)), []byte(read(t, unit)))
	}
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what -install makes: %v", path, err)
	}
}
