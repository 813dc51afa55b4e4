package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// completionCommand writes a completion script for a shell.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// The scripts call satctl for the candidates of a word, so they need no update with satctl. Without candidates the
// shell completes file names.
var completionScripts = map[string]string{
	"bash": `_satctl() {
	local word="${COMP_WORDS[COMP_CWORD]}"
	mapfile -t COMPREPLY < <(satctl __complete "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$word" 2>/dev/null)
}
complete -o default -F _satctl satctl
`,
	"zsh": `#compdef satctl
_satctl() {
	local -a candidates
	candidates=("${(@f)$(satctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	candidates=("${(@)candidates:#}")
	if (( ${#candidates} )); then
		compadd -a candidates
	else
		_files
	fi
}
# In a file of fpath this is the body of the function. Evaluated, it only defines the function.
if [ "$funcstack[1]" = "_satctl" ]; then
	_satctl "$@"
else
	compdef _satctl satctl
fi
`,
	"fish": `complete -c satctl -f -a '(satctl __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
complete -c satctl -n '__fish_seen_subcommand_from logs' -s o -l output -r -F
`,
}

// Run writes the script.
func (c *completionCommand) Run(s *invocation) error {
	_, err := fmt.Fprint(s.out, completionScripts[c.Shell])
	return err
}

// completeCommand writes the candidates for the scripts.
type completeCommand struct {
	Words []string `arg:"" optional:"" help:"The words of the command line up to the one to complete."`
}

// Run writes the candidates for the last word, one to a line.
func (c *completeCommand) Run(s *invocation) error {
	s.Directory = directoryOf(c.Words)
	for _, candidate := range complete(s.model, c.Words, s.moduleNames) {
		if _, err := fmt.Fprintln(s.out, candidate); err != nil {
			return err
		}
	}
	return nil
}

// directoryOf returns the value of --directory in the words, if any. kong does not parse these words.
func directoryOf(words []string) string {
	for i, word := range words {
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case !strings.HasPrefix(word, "-") || name != "directory" && name != "d":
		case given:
			return value
		case i+1 < len(words)-1:
			return words[i+1]
		}
	}
	return ""
}

// moduleNames returns the names of the sockets, without connecting to them.
func (s *invocation) moduleNames() []string {
	paths, _ := control.Sockets(s.directory())
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(path), ".sock")
	}
	slices.SortFunc(names, verdict.Compare)
	return names
}

// complete returns the candidates for the last word, and none where the shell should complete a file name.
func complete(model *kong.Application, words []string, modules func() []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	word := words[len(words)-1]
	node, flags := model.Node, model.Node.Flags
	var valueOf *kong.Flag
	arguments := 0
	for _, before := range words[:len(words)-1] {
		switch {
		case valueOf != nil:
			valueOf = nil
		case strings.HasPrefix(before, "-"):
			if flag := flagOf(flags, before); flag != nil && !flag.IsBool() && !strings.Contains(before, "=") {
				valueOf = flag
			}
		default:
			if child := childOf(node, before); child != nil {
				node, arguments = child, 0
				flags = append(flags[:len(flags):len(flags)], child.Flags...)
			} else {
				arguments++
			}
		}
	}
	var candidates []string
	switch {
	case valueOf != nil:
		candidates = valuesOf(valueOf.Value)
	case strings.HasPrefix(word, "-"):
		for _, flag := range flags {
			if !flag.Hidden {
				candidates = append(candidates, "--"+flag.Name)
			}
		}
	case len(node.Children) > 0:
		for _, child := range node.Children {
			if !child.Hidden {
				candidates = append(candidates, child.Name)
			}
		}
	default:
		candidates = argumentOf(node, arguments, modules)
	}
	var fitting []string
	for _, candidate := range candidates {
		if candidate != "" && strings.HasPrefix(candidate, word) {
			fitting = append(fitting, candidate)
		}
	}
	return fitting
}

func flagOf(flags []*kong.Flag, written string) *kong.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(written, "-"), "=")
	for _, flag := range flags {
		if flag.Name == name || flag.Short != 0 && string(flag.Short) == name {
			return flag
		}
	}
	return nil
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// argumentOf returns the candidates for an argument of a command. A last argument that is a list may be repeated.
func argumentOf(node *kong.Node, at int, modules func() []string) []string {
	if len(node.Positional) == 0 {
		return nil
	}
	argument := node.Positional[min(at, len(node.Positional)-1)]
	switch {
	case at >= len(node.Positional) && !argument.IsSlice():
		return nil
	case argument.Name == "module":
		return modules()
	case argument.Tag.Enum != "":
		return valuesOf(argument)
	}
	return nil
}

func valuesOf(value *kong.Value) []string {
	if value.Enum == "" {
		return nil
	}
	return strings.Split(value.Enum, ",")
}
