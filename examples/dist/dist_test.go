package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// native returns the target of this machine. Most of its packages are already compiled for the test itself.
func native(t *testing.T) target {
	t.Helper()
	target, known := targetNamed(runtime.GOARCH)
	if !known {
		t.Skipf("there is no target for %s", runtime.GOARCH)
	}
	return target
}

// only limits dist to some programs, because all are built alike.
func only(t *testing.T, names ...string) {
	t.Helper()
	all := programs
	t.Cleanup(func() { programs = all })
	programs = slices.DeleteFunc(slices.Clone(all), func(p program) bool { return !slices.Contains(names, p.name) })
}

func dist(t *testing.T, directory string, arguments ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := run(t.Context(), append([]string{"-o", directory}, arguments...), &out, &errs); err != nil {
		t.Fatalf("dist %v: %v\n%s", arguments, err, errs.String())
	}
	if first := fmt.Sprintf("dist: 1 of %d: %s for ", len(programs), programs[0].name); !strings.HasPrefix(errs.String(), first) {
		t.Errorf("no progress %q is shown:\n%s", first, errs.String())
	}
	return out.String()
}

func TestSameSourcesSameBytes(t *testing.T) {
	target := native(t)
	only(t, "SatelliteAgent")
	first, second := t.TempDir(), t.TempDir()
	table := dist(t, first, "-targets", target.name)
	// The user's settings must not change the bytes.
	t.Setenv("GOFLAGS", "-tags=other")
	t.Setenv("GOAMD64", "v2")
	dist(t, second, "-targets", target.name)

	sums := func(directory string) string {
		text, err := os.ReadFile(filepath.Join(directory, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if sums(first) != sums(second) {
		t.Errorf("two builds differ:\n%s%s", sums(first), sums(second))
	}
	// The folder of one target is copied to a board alone.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(first, "linux-"+target.name))); err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{first, copied} {
		check := exec.CommandContext(t.Context(), "sha256sum", "-c", "SHA256SUMS")
		check.Dir = directory
		if output, err := check.CombinedOutput(); err != nil || !strings.Contains(string(output), "SatelliteAgent: OK") {
			t.Errorf("sha256sum -c: %v\n%s", err, output)
		}
	}
	path := filepath.Join(first, "linux-"+target.name, "SatelliteAgent")
	size := fmt.Sprintf("%.2f", float64(fileSize(t, path))/(1<<20))
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "SatelliteAgent") || !strings.HasSuffix(lines[1], size) {
		t.Errorf("the table lacks the size %s of the agent:\n%s", size, table)
	}
	checkBoardProgram(t, path)

	output, err := exec.CommandContext(t.Context(), path, "-version").Output()
	if err != nil || len(strings.Fields(string(output))) != 2 || !strings.HasPrefix(string(output), "SatelliteAgent ") {
		t.Errorf("-version: %q, %v", output, err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// checkBoardProgram checks that a program needs no dynamic linker and contains neither symbols nor the path of the
// checkout.
func checkBoardProgram(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			t.Errorf("%s is linked dynamically", path)
		}
	}
	if symbols, err := file.Symbols(); err == nil {
		t.Errorf("%s has %d symbols", path, len(symbols))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(root)) {
		t.Errorf("%s contains the path of the checkout", path)
	}
}

func TestInvalidArguments(t *testing.T) {
	for _, arguments := range [][]string{{"-targets", "mips"}, {"-targets", ""}, {"more"}, {"-no"}} {
		if err := run(t.Context(), arguments, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: no error", arguments)
		}
	}
}
