package discovery

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(boardProcess) != "" {
		os.Exit(runBoard(os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}
