package doc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tools are the programs whose own help is on the page, in its order.
var tools = []string{"satctl", "satkeys", "station", "dist"}

// writeTools builds the tools and writes the help of each and of its commands.
func writeTools(ctx context.Context, text *strings.Builder) error {
	directory, err := os.MkdirTemp("", "reference")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	build := exec.CommandContext(ctx, "go", "build", "-o", directory)
	for _, tool := range tools {
		build.Args = append(build.Args, "../examples/"+tool)
	}
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, output)
	}
	for _, tool := range tools {
		fmt.Fprintf(text, "\n## %s\n\n", tool)
		if err := writeHelp(ctx, text, filepath.Join(directory, tool), nil); err != nil {
			return err
		}
	}
	return nil
}

// writeHelp writes the help of a program or of one of its commands, and then that of the commands below it.
func writeHelp(ctx context.Context, text *strings.Builder, program string, command []string) error {
	// The exit status after a help differs between the programs.
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

// commandsIn returns the commands in a help.
func commandsIn(help string) (names []string) {
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	for line := range strings.Lines(list) {
		if match := commandLine.FindStringSubmatch(strings.TrimRight(line, "\n")); match != nil {
			names = append(names, match[1])
		}
	}
	return names
}

func TestCommandsAreFound(t *testing.T) {
	help := "Usage: tool <command>\n\nFlags:\n  -h, --help    Show.\n\nCommands:\n  status        Show.\n  watch [<m>]   Watch\n                and watch.\n" +
		"  key create <dir>\n    Make a key.\n\nRun \"tool <command> --help\".\n"
	if diff := cmp.Diff([]string{"status", "watch", "key create"}, commandsIn(help)); diff != "" {
		t.Error(diff)
	}
}
