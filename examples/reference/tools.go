package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// module is the module whose programs these are.
const module = "github.com/remotechargeport/remotechargeport"

// tools are the programs that tell their flags themselves, in the order of the page.
var tools = []string{"satctl", "satkeys", "station", "dist"}

// writeTools builds each tool and writes what it says about itself and its commands.
func writeTools(ctx context.Context, text *strings.Builder) error {
	directory, err := os.MkdirTemp("", "reference")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("this is no checkout of %s: %w", module, err)
	}
	for _, tool := range tools {
		folder := filepath.Join(strings.TrimSpace(string(root)), "examples", tool)
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		program := filepath.Join(directory, tool)
		build := exec.CommandContext(ctx, "go", "build", "-tags", "codec.notfastpath", "-o", program, module+"/examples/"+tool)
		build.Dir, build.Stderr = folder, os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
		fmt.Fprintf(text, "\n## %s\n\n", tool)
		if err := writeHelp(ctx, text, program, nil); err != nil {
			return err
		}
	}
	return nil
}

// writeHelp writes the help of a program or one of its commands, then those of the commands in it.
func writeHelp(ctx context.Context, text *strings.Builder, program string, command []string) error {
	// Programs end with different statuses after their help, but all of them print it.
	run := exec.CommandContext(ctx, program, append(command, "--help")...)
	run.Env = append(os.Environ(), "COLUMNS=80")
	output, err := run.CombinedOutput()
	if ended := new(exec.ExitError); err != nil && !errors.As(err, &ended) {
		return err
	}
	help := strings.TrimSpace(string(output))
	if help == "" {
		return fmt.Errorf("%s %v has no help", filepath.Base(program), command)
	}
	if len(command) > 0 {
		fmt.Fprintf(text, "\n### %s %s\n\n", filepath.Base(program), strings.Join(command, " "))
	}
	fmt.Fprintf(text, "```text\n%s\n```\n", strings.ReplaceAll(help, "\t", "    "))
	if len(command) > 0 {
		return nil
	}
	for _, name := range commandsIn(help) {
		if err := writeHelp(ctx, text, program, strings.Fields(name)); err != nil {
			return err
		}
	}
	return nil
}

var commandLine = regexp.MustCompile(`^  ([a-z]+(?: [a-z]+)*)(?:  |$| [\[<])`)

// commandsIn returns the commands that a help lists.
func commandsIn(help string) (names []string) {
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	for line := range strings.Lines(list) {
		if match := commandLine.FindStringSubmatch(strings.TrimRight(line, "\n")); match != nil {
			names = append(names, match[1])
		}
	}
	return names
}
