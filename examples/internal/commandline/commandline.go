// Package commandline holds what the tools' command lines have in common.
package commandline

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/remotechargeport/remotechargeport/everest"
)

// TwoDashes returns the arguments with two dashes before each long flag that has one, so that users may write one dash,
// as for the other programs of this repository. It leaves the arguments behind "--" as they are, and those behind the
// name of a hidden command, which begins with two underlines.
func TwoDashes(model *kong.Application, arguments []string) []string {
	long := map[string]bool{}
	// Visiting only fails where the function does.
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Name) > 1 {
			long[flag.Name] = true
		}
		return next(nil)
	})
	written := make([]string, len(arguments))
	for i, argument := range arguments {
		if argument == "--" || strings.HasPrefix(argument, "__") {
			copy(written[i:], arguments[i:])
			return written
		}
		name, _, _ := strings.Cut(argument, "=")
		if strings.HasPrefix(argument, "-") && long[name[min(1, len(name)):]] {
			argument = "-" + argument
		}
		written[i] = argument
	}
	return written
}

// Version adds the flag -version to a set. It reports whether the arguments have that flag, and writes the program's
// name, which is the set's, and version then. The program should end.
func Version(set *flag.FlagSet, arguments []string, out io.Writer) bool {
	set.Bool("version", false, "print the version and end")
	if !slices.Contains(arguments, "-version") && !slices.Contains(arguments, "--version") {
		return false
	}
	fmt.Fprintln(out, set.Name(), everest.Version())
	return true
}
