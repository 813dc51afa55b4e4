package main

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"go.uber.org/goleak"
)

// The station starts its boards as processes of its own program, which is the
// test binary here.
func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case boardArgument, linkArgument:
			os.Exit(status(os.Args[1:]))
		case runAsStation:
			os.Exit(status(os.Args[2:]))
		}
	}
	// Stations wait more than they work.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// runAsStation as first argument makes the test binary the station itself.
const runAsStation = "-station"
