package discovery

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs more tests beside each other than there are processors: they wait
// most of the time.
func TestMain(m *testing.M) {
	if os.Getenv(boardProcess) != "" {
		os.Exit(runBoard(os.Stdin, os.Stdout))
	}
	flag.Parse()
	if !slices.ContainsFunc(os.Args, func(argument string) bool { return strings.HasPrefix(argument, "-test.parallel") }) {
		flag.Set("test.parallel", "8")
	}
	goleak.VerifyTestMain(m)
}
