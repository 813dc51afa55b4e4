package main

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// The station starts its boards as processes of its own program, which is the
// test binary here.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"-board", runAsStation}, os.Args[1]) {
		arguments := os.Args[1:]
		if arguments[0] == runAsStation {
			arguments = arguments[1:]
		}
		if err := run(arguments); err != nil {
			fmt.Fprintln(os.Stderr, errorPrefix+err.Error())
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// runAsStation as first argument makes the test binary the station itself.
const runAsStation = "-station"
