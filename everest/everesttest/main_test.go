package everesttest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Patience = time.Minute // the machine may be busy
	goleak.VerifyTestMain(m)
}
