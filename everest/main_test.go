package everest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// processVariable makes the test program a module instead: some things are only true of a whole process.
const processVariable = "EVEREST_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		os.Exit(moduleProcess())
	}
	goleak.VerifyTestMain(m)
}

// moduleProcess runs a module as a main function does and tells what happens.
func moduleProcess() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := func() error {
		options, err := ParseOptions(os.Args[1:], os.Getenv)
		if err != nil {
			return err
		}
		m, err := Connect(ctx, options)
		if err != nil {
			return err
		}
		fmt.Println("spawned", m.spawned)
		m.OnReady(func(ctx context.Context) error {
			list := exec.CommandContext(ctx, "ls", "-l", "/proc/self/fd")
			list.Stdout = os.Stdout
			err := list.Run()
			fmt.Println("ready")
			return err
		})
		return m.Run(ctx)
	}()
	fmt.Println("ended:", err)
	if err != nil {
		return 1
	}
	return 0
}
