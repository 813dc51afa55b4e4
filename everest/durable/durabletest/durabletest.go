// Package durabletest cuts the power of a program that keeps files, at any moment, and lets it read what is left.
//
// [Cut] runs the program in a process of its own under strace, which records its system calls. From them it builds what
// a disk may hold after a cut: each prefix of the calls, and after it every choice that the calls of fsync leave open.
// What a file got since its last fsync may be there, in part, or not at all. What a directory got since its own fsync may
// be there or not, each name for itself. A rename is done or not. Real file systems promise more, and not all the same.
//
// Cut needs strace and Linux, and skips the test without them.
package durabletest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Program is what keeps files in a directory.
type Program struct {
	// Steps are carried out in order. What a step has written must outlive a cut from the moment it returns.
	Steps []func(directory string) error
	// Read returns what a new process of the program finds in the directory. An error means that it cannot go on.
	Read func(directory string) (string, error)
	// Repeats is true for steps that may be carried out again. After each cut the program then goes on, with the step
	// that was cut or the one after it, to its last step.
	Repeats bool
}

const (
	// childVariable is set to the directory in the process that strace watches.
	childVariable = "DURABLETEST_DIRECTORY"
	// marker is the name of the file that this process asks for after each step. It is never there.
	marker = ".durabletest-step-"
)

// Cut tests a program against losses of power. After each cut Read must return what it returns without one, after the
// last step that has returned or after the step that was cut. It must be the first call of its test.
func Cut(t testing.TB, program Program) {
	t.Helper()
	if directory := os.Getenv(childVariable); directory != "" {
		program.write(t, directory)
		t.SkipNow() // what follows is for the process that watches
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("records system calls with strace, which is not installed: apt-get install strace")
	}
	outcomes := program.outcomes(t)
	cuts := 0
	for _, moment := range momentsOf(t, record(t, strace)) {
		for _, files := range moment.disk.afterACut(t) {
			cuts++
			program.check(t, moment, files, outcomes)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d different disks after cuts", cuts)
}

// write carries out the steps where their system calls are recorded.
func (p Program) write(t testing.TB, directory string) {
	for i, step := range p.Steps {
		if err := step(directory); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if _, err := os.Lstat(filepath.Join(directory, marker+strconv.Itoa(i+1))); err == nil {
			t.Fatal("the marker is there")
		}
	}
}

// outcomes returns what is read before the first step and after each.
func (p Program) outcomes(t testing.TB) []string {
	directory := t.TempDir()
	var outcomes []string
	for i := 0; ; i++ {
		outcome, err := p.Read(directory)
		if err != nil {
			t.Fatalf("after step %d: %v", i, err)
		}
		outcomes = append(outcomes, outcome)
		if i == len(p.Steps) {
			return outcomes
		}
		if err := p.Steps[i](directory); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
	}
}

// check lets the program read what a cut has left.
func (p Program) check(t testing.TB, moment moment, files contents, outcomes []string) {
	directory := t.TempDir()
	if err := files.write(directory); err != nil {
		t.Fatal(err)
	}
	fail := func(format string, arguments ...any) {
		t.Errorf("cut after %d steps and %q: %s\nthe disk then:\n%s", moment.steps, moment.call, fmt.Sprintf(format, arguments...), files)
	}
	outcome, err := p.Read(directory)
	if err != nil {
		fail("it cannot be read: %v", err)
		return
	}
	next := min(moment.steps+1, len(p.Steps))
	if outcome != outcomes[moment.steps] && outcome != outcomes[next] {
		fail("read %q, want %q or %q", outcome, outcomes[moment.steps], outcomes[next])
		return
	}
	if !p.Repeats {
		return
	}
	if outcome != outcomes[moment.steps] {
		next++
	}
	for i := next - 1; i < len(p.Steps); i++ {
		if err := p.Steps[i](directory); err != nil {
			fail("step %d fails after it: %v", i+1, err)
			return
		}
	}
	if outcome, err = p.Read(directory); err != nil || outcome != outcomes[len(p.Steps)] {
		fail("read %q and error %v after the last step, want %q", outcome, err, outcomes[len(p.Steps)])
	}
}

// record carries out the steps in a process under strace. It returns the directory and the recorded calls.
func record(t testing.TB, strace string) recording {
	directory := filepath.Join(t.TempDir(), "program")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "calls")
	var pattern []string
	for _, part := range strings.Split(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	command := exec.CommandContext(t.Context(), strace, "-f", "-xx", "-s", strconv.Itoa(maxWrite), "-o", output, "-e", "trace="+tracedCalls, "--",
		os.Args[0], "-test.run", strings.Join(pattern, "/"), "-test.count=1")
	command.Env = append(os.Environ(), childVariable+"="+directory)
	printed, err := command.CombinedOutput()
	if strings.Contains(string(printed), "Operation not permitted") && strings.Contains(string(printed), "strace:") {
		t.Skipf("strace may not watch processes here: %s", printed)
	}
	if err != nil {
		t.Fatalf("the steps under strace: %v\n%s", err, printed)
	}
	lines, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	return recording{directory: directory, lines: string(lines)}
}
