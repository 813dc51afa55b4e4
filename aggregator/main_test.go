package aggregator

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// The tests of a station wait for timeouts more than they compute: eight of them run at a time on any machine.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
