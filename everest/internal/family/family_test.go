package family

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/wire"
)

// marksOf are the marks that the framework of each family has.
var marksOf = map[string][]string{
	"A1":  {markClearAsked, markCleared},
	"A2":  {markCleared},
	"A3":  {markCleared, markFixYourFile},
	"B1":  {markGetConfig, markCleared, markErrorTypes, markFixYourFile},
	"B2":  {markGetConfig, markErrorTypes},
	"B3":  {markGetConfig},
	"B4a": {markRequest},
	"B4b": {markRequest, markErrorKey},
	"C":   {markRequest, markErrorKey, markResponse},
	"D":   {markRequest, markErrorKey, markResponse, markSetRequest},
}

// library makes a file like a framework library of the size, with the marks of a family in random places.
func library(t testing.TB, name, family string, size int) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(len(family))))
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	for i, mark := range marksOf[family] {
		copy(content[(i+1)*size/(len(marks)+1):], append(literal(mark), 0))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMarksTellFamiliesApart(t *testing.T) {
	for _, release := range wire.Families() {
		for _, name := range []string{"usr/lib/libframework.so.0.1", "usr/lib/x86_64-linux-gnu/libframework.so", "usr/lib64/libframework.so", "usr/bin/manager"} {
			root := t.TempDir()
			file := library(t, filepath.Join(root, name), release.Name, 3*chunk)
			looker := Looker{Prefix: filepath.Join(root, "usr")}
			found, lookedAt := looker.Look()
			if len(found) != 1 || len(found[0].Families) != 1 || found[0].Families[0] != release.Name || !strings.Contains(found[0].Where, file) {
				t.Errorf("%s of family %s: found %+v, looked at %q", name, release.Name, found, lookedAt)
			}
		}
	}
}

// A mark lies across the border of two reads, and the reader gives any number of bytes.
func TestMarksAreFoundEverywhere(t *testing.T) {
	mark := string(literal(markSetRequest))
	for _, at := range []int{0, chunk - 20, chunk - 1, chunk, chunk + 20, 2*chunk - 10, 3 * chunk} {
		text := strings.Repeat("x", at) + mark
		for name, reader := range map[string]io.Reader{
			"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)), "more": strings.NewReader(text + strings.Repeat("y", chunk)),
		} {
			has, err := search(reader)
			if err != nil || !has[markSetRequest] || len(has) != 1 {
				t.Errorf("at %d, %s: %v, %v", at, name, has, err)
			}
		}
		if has, err := search(strings.NewReader(text[:len(text)-1])); err != nil || len(has) != 0 {
			t.Errorf("at %d, cut off: %v, %v", at, has, err)
		}
	}
	if _, err := search(iotest.ErrReader(errors.New("bad disk"))); err == nil {
		t.Error("no error for a file that cannot be read")
	}
}

// A Go program that starts modules is no manager, although it contains this package.
func TestThisProgramIsNoFramework(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if family, err := familyOfFile(program); family != "" || err != nil {
		t.Errorf("%q, %v", family, err)
	}
}

func TestLooksAtTheManagersProcess(t *testing.T) {
	root := t.TempDir()
	loaded := library(t, filepath.Join(root, "opt/lib/libframework.so.0.20.2"), "B2", 1<<16)
	library(t, filepath.Join(root, "usr/lib/libframework.so"), "C", 1<<16)
	process := filepath.Join(root, "proc/7")
	looker := Looker{Prefix: filepath.Join(root, "usr"), Parent: 7, Proc: filepath.Join(root, "proc")}
	if err := os.MkdirAll(filepath.Join(process, "map_files"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(maps string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(process, "maps"), []byte(maps), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, family, where string) {
		t.Helper()
		found, lookedAt := looker.Look()
		switch {
		case family == "" && len(found) == 0 && strings.Contains(fmt.Sprint(lookedAt), where):
		case family != "" && len(found) == 1 && found[0].Families[0] == family && strings.Contains(found[0].Where, where):
		default:
			t.Errorf("%s: found %+v, looked at %q", what, found, lookedAt)
		}
	}
	check("no process", "C", "usr/lib")
	write("7f00-7f10 r--p 0000 08:01 12 /usr/lib/libc.so.6\n7f20-7f30 r--p 0000 08:01 13 " + loaded + "\n7f30-7f40 r-xp 1000 08:01 13 " + loaded + "\n")
	check("another library than the installed one", "B2", loaded)
	write("7f20-7f30 r--p 0000 08:01 13 " + loaded + " (deleted)\n")
	check("replaced", "", "replaced under the running manager")
	if err := os.Symlink(loaded, filepath.Join(process, "map_files/7f20-7f30")); err != nil {
		t.Fatal(err)
	}
	check("replaced, and the kernel has it", "B2", loaded)
	write("7f00-7f10 r--p 0000 08:01 12 /bin/sh\n")
	if err := os.Symlink(library(t, filepath.Join(root, "bin/sh"), "", 1000), filepath.Join(process, "exe")); err != nil {
		t.Fatal(err)
	}
	check("a shell", "C", "usr/lib")
	os.Remove(filepath.Join(process, "exe"))
	if err := os.Symlink(library(t, filepath.Join(root, "bin/manager"), "D", 1<<16), filepath.Join(process, "exe")); err != nil {
		t.Fatal(err)
	}
	check("statically linked", "D", "program")
}

func TestBadInstallations(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(prefix string)
		want    string
	}{
		"empty":         {func(string) {}, "there is no libframework.so in"},
		"other library": {func(prefix string) { library(t, prefix+"/lib/libframework.so", "", 1000) }, "not EVerest's framework"},
		"two releases": {func(prefix string) {
			library(t, prefix+"/lib/libframework.so.1", "C", 1000)
			library(t, prefix+"/lib/libframework.so.2", "D", 1000)
		}, "libraries of several releases"},
		"a folder":       {func(prefix string) { os.MkdirAll(prefix+"/lib/libframework.so", 0o755) }, "no regular file"},
		"other versions": {func(prefix string) { writeVersion(t, prefix, "remotechargeport 2026.2.0 main@1") }, "remotechargeport 2026.2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := filepath.Join(t.TempDir(), "a[b*c?")
			test.prepare(prefix)
			looker := Looker{Prefix: prefix}
			found, lookedAt := looker.Look()
			for _, f := range found {
				if len(f.Families) > 0 {
					t.Errorf("found %+v", f)
				}
			}
			if !strings.Contains(strings.Join(lookedAt, "; "), test.want) {
				t.Errorf("looked at %q", lookedAt)
			}
		})
	}
}

func writeVersion(t testing.TB, prefix, line string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(prefix, "share/everest"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(prefix, "share/everest/version_information.txt"), []byte(line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Looking again sees a library that was replaced, and does not read one again that was not.
func TestLooksAgain(t *testing.T) {
	prefix := t.TempDir()
	name := library(t, filepath.Join(prefix, "lib/libframework.so"), "C", 1<<16)
	looker := Looker{Prefix: prefix}
	family := func() string {
		t.Helper()
		found, lookedAt := looker.Look()
		if len(found) != 1 {
			t.Fatalf("found %+v, looked at %q", found, lookedAt)
		}
		return found[0].Families[0]
	}
	if got := family(); got != "C" {
		t.Errorf("family %s", got)
	}
	library(t, name+".new", "D", 1<<16)
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	if got := family(); got != "D" {
		t.Errorf("family %s after the upgrade", got)
	}
	if again := testing.AllocsPerRun(10, func() { family() }); again > 200 {
		t.Errorf("%v allocations for looking again", again)
	}
}

func TestVersions(t *testing.T) {
	for line, want := range map[string]string{
		"everest-core 2024.3.0 HEAD@2024.3.0":      "A1",
		"everest-core 2024.5.0 HEAD@2024.5.0":      "A2",
		"everest-core 2024.9.1 HEAD@2024.9.1":      "A3",
		"everest-core 2024.10.0 HEAD@2024.9.2":     "A3 B2",
		"everest-core 2024.11.0 HEAD@2024.11.0":    "B1",
		"everest-core 2025.1.0 HEAD@2025.1.0":      "B2",
		"everest-core 2025.5.0 HEAD@2025.5.0":      "B3",
		"everest-core 2025.7.0 HEAD@2025.7.0":      "B4a",
		"everest-core 2025.10.0 HEAD@2025.10.0":    "B4b",
		"everest-core 2025.12.1 HEAD@2025.12.1":    "C",
		"everest-core 2026.02.0 HEAD@2026.02.0":    "C",
		"everest-core 2026.10.0 main@6d65a8e":      "C D",
		"remotechargeport 2026.02.0 HEAD@2026.2.0": "",
		"everest-core":             "",
		"everest-core new main@1":  "",
		"everest-core 2023.1.0 x":  "",
		"everest-core 2025.11.0 x": "",
		"":                         "",
	} {
		if got := strings.Join(familiesOfVersion(line), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// BenchmarkLibrary reads a library of 20 MB, in 50 ms at most and without keeping it in memory.
func BenchmarkLibrary(b *testing.B) {
	name := library(b, filepath.Join(b.TempDir(), "libframework.so"), "B3", 20<<20)
	runtime.GC()
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		if family, err := familyOfFile(name); family != "B3" || err != nil {
			b.Fatal(family, err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "processor-ms/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
