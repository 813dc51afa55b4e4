package aggregator

import (
	"flag"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"go.uber.org/goleak"
)

// The tests of a station wait for timeouts more than they compute: eight of them run at a time on any machine.
func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// A board that answers must be in time on any machine; the silent ones cost their tests this.
	maxQuestionTime, linkedTimeout = 6*time.Second, 6*time.Second
	goleak.VerifyTestMain(m)
}
