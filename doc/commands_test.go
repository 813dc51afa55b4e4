package doc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var runCommands = flag.Bool("doc.commands", false, "execute the commands of the documentation, which takes minutes")

// A page's blocks of language sh, and the lines behind a $ in those of language console, are one script, run by bash in a
// copy of the repository; the first command that fails ends it. What stands on another machine or takes long there is told by comments in front of a block:
//
//	<!-- test: replace OLD with NEW -->   OLD must be in the block; $TEST is a directory of the test's own
//	<!-- test: first COMMAND -->           executed before the block
//	<!-- test: background until TEXT -->   the block's last command runs until the page ends; TEXT is in what it writes soon
//	<!-- test: needs PROGRAM -->          the page is left out where the program is not installed, but not in CI
//
// A page is left out with <!-- test: commands are run by PACKAGE --> where that package's test runs them.
var directive = regexp.MustCompile(`^<!-- test: (.*) -->$`)

// block is a fenced block of commands and what is said of it.
type block struct {
	line     int
	first    []string
	commands string
	// until is what a command in the background writes.
	until        string
	needs        []string
	runElsewhere string
}

// commandBlocks reads a page's blocks of commands.
func commandBlocks(p page) (blocks []block, err error) {
	var said []string
	for i := 0; i < len(p.lines); i++ {
		line := strings.TrimSpace(p.lines[i])
		if found := directive.FindStringSubmatch(line); found != nil {
			said = append(said, found[1])
			continue
		}
		if line != "```sh" && line != "```console" {
			if line != "" && len(said) > 0 {
				return nil, fmt.Errorf("%s:%d: no block of commands follows a comment for the test", p.path, i+1)
			}
			continue
		}
		current := block{line: i + 2}
		var commands []string
		for i++; i < len(p.lines) && strings.TrimSpace(p.lines[i]) != "```"; i++ {
			typed, isCommand := strings.CutPrefix(p.lines[i], "$ ")
			if line == "```sh" || isCommand {
				commands = append(commands, typed)
			}
		}
		current.commands = strings.Join(commands, "\n")
		for _, one := range said {
			if err := current.apply(one); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", p.path, current.line, err)
			}
		}
		said = nil
		blocks = append(blocks, current)
	}
	return blocks, nil
}

func (b *block) apply(said string) error {
	switch verb, rest, _ := strings.Cut(said, " "); verb {
	case "replace":
		old, replacement, found := strings.Cut(rest, " with ")
		if !found || !strings.Contains(b.commands, old) {
			return fmt.Errorf("%q is not in the commands", old)
		}
		b.commands = strings.ReplaceAll(b.commands, old, replacement)
	case "first":
		b.first = append(b.first, rest)
	case "background":
		b.until = strings.TrimPrefix(rest, "until ")
	case "needs":
		b.needs = append(b.needs, rest)
	case "commands":
		b.runElsewhere = strings.TrimPrefix(rest, "are run by ")
	default:
		return fmt.Errorf("%q is no comment that the test knows", said)
	}
	return nil
}

// script makes one script of the blocks.
func script(blocks []block) string {
	var text strings.Builder
	text.WriteString("set -euo pipefail\nset -m\ntrap 'for job in $(jobs -p); do kill -INT -- -$job || true; done; wait || true' EXIT\n")
	for _, block := range blocks {
		fmt.Fprintf(&text, "echo \"== line %d\" >&2\n", block.line)
		for _, command := range block.first {
			text.WriteString(command + "\n")
		}
		if block.until == "" {
			text.WriteString(block.commands + "\n")
			continue
		}
		before, last := "", strings.TrimSpace(block.commands)
		if i := strings.LastIndex(last, "\n"); i >= 0 {
			before, last = last[:i+1], last[i+1:]
		}
		log := fmt.Sprintf("\"$TEST/line%d.log\"", block.line)
		fmt.Fprintf(&text, "%s%s > %s 2>&1 &\n", before, last, log)
		fmt.Fprintf(&text, "for i in $(seq 300); do grep -q -e '%s' %s && break; sleep 0.2; done\ngrep -q -e '%s' %s || { cat %s; exit 1; }\n",
			block.until, log, block.until, log, log)
	}
	return text.String()
}

// TestCommandsCanBeRead checks the comments for TestCommands, and that nothing is left out without a test.
func TestCommandsCanBeRead(t *testing.T) {
	commands := 0
	for _, page := range pages(t) {
		blocks, err := commandBlocks(page)
		if err != nil {
			t.Error(err)
		}
		for _, block := range blocks {
			commands++
			if block.runElsewhere == "" {
				continue
			}
			tests, err := filepath.Glob(filepath.Join("..", block.runElsewhere, "*_test.go"))
			if err != nil || len(tests) == 0 {
				t.Errorf("%s:%d: %s has no tests", page.path, block.line, block.runElsewhere)
			}
		}
	}
	if commands < 20 {
		t.Errorf("found %d blocks of commands", commands)
	}
}

// TestCommands executes the commands of each page.
func TestCommands(t *testing.T) {
	if !*runCommands {
		t.Skip("executing every command takes minutes: give -doc.commands")
	}
	for _, page := range pages(t) {
		blocks, err := commandBlocks(page)
		if err != nil {
			t.Fatal(err)
		}
		var here []block
		for _, block := range blocks {
			if block.runElsewhere == "" {
				here = append(here, block)
			}
		}
		if len(here) > 0 {
			t.Run(page.path, func(t *testing.T) { runPage(t, here) })
		}
	}
}

func runPage(t *testing.T, blocks []block) {
	for _, block := range blocks {
		for _, program := range block.needs {
			if _, err := exec.LookPath(program); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s is not installed", program)
				}
				t.Skipf("%s is not installed", program)
			}
		}
	}
	repository, own, programs := copyRepository(t), t.TempDir(), t.TempDir()
	standIn(t, programs)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script(blocks))
	shell.Dir = repository
	shell.Cancel = func() error { return shell.Process.Signal(os.Interrupt) }
	shell.WaitDelay = 20 * time.Second
	shell.Env = append(os.Environ(), "TEST="+own, "HOME="+own, "REPOSITORY="+repository, "PATH="+programs+":"+os.Getenv("PATH")+":/usr/sbin",
		"GOFLAGS=-trimpath")
	for _, folder := range []string{"GOMODCACHE", "GOCACHE", "GOPATH"} {
		// HOME is another one here, the caches are not.
		value, err := exec.CommandContext(ctx, "go", "env", folder).Output()
		if err != nil {
			t.Fatal(err)
		}
		shell.Env = append(shell.Env, folder+"="+strings.TrimSpace(string(value)))
	}
	output, err := shell.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, ctx.Err())
		}
		t.Errorf("%v\n%s", err, output)
		return
	}
	t.Logf("%s", output)
}

// standIn puts programs into a folder that a test machine may not have: sudo, which runs the command, and EVerest's
// manager, which is this program.
func standIn(t *testing.T, folder string) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, filepath.Join(folder, "manager")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// copyRepository copies what a user's clone holds, so that what commands write stays out of it.
func copyRepository(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		switch {
		case name == ".git" && entry.IsDir():
			return filepath.SkipDir
		case name == ".git": // a file in a worktree, where SkipDir would leave out the rest of the repository
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
