package satellite_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"go.uber.org/goleak"
)

// TestMain runs more tests beside each other than there are processors: they wait
// most of the time.
func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	flag.Parse()
	if !slices.ContainsFunc(os.Args, func(argument string) bool { return strings.HasPrefix(argument, "-test.parallel") }) {
		flag.Set("test.parallel", "8")
	}
	goleak.VerifyTestMain(m)
}
