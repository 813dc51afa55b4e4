package everest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/program"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// processVariable makes the test program a module instead: some things are only true of a whole process. Its value is
// "tower", or "ten" for a module with ten interfaces.
const processVariable = "EVEREST_TEST_PROCESS"

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	if kind := os.Getenv(processVariable); kind != "" {
		os.Exit(runModuleProcess(kind))
	}
	goleak.VerifyTestMain(m)
}

// tenInterfaces are those that the satellite modules of this project provide or require.
var tenInterfaces = []string{
	"auth", "auth_token_provider", "dc_external_derate", "display_message", "energy", "evse_manager", "iso15118_extensions",
	"ocpp_data_transfer", "system", "uk_random_delay",
}

// tenManifest provides the ten interfaces.
func tenManifest() []byte {
	var text strings.Builder
	text.WriteString("description: Has much to offer\nprovides:\n")
	for _, name := range tenInterfaces {
		fmt.Fprintf(&text, "  %s: {interface: %s, description: One of ten}\n", name, name)
	}
	text.WriteString("metadata: {license: https://opensource.org/licenses/Apache-2.0, authors: [nobody]}\n")
	return []byte(text.String())
}

// runModuleProcess runs a module as a main function does and tells what happens.
func runModuleProcess(kind string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := func() error {
		options, err := program.ParseOptions(os.Args[1:], os.Getenv)
		if err != nil {
			return err
		}
		if kind == "ten" {
			options.Manifest = tenManifest()
			if options.Definitions, err = schema.BuiltIn(); err != nil {
				return err
			}
		}
		m, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		fmt.Println("spawned", m.Spawned())
		m.OnReady(func(ctx context.Context) error {
			if kind == "ten" {
				return tellMemory()
			}
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

// tellMemory writes the live heap and then all of /proc/self/status that has to do with memory.
func tellMemory() error {
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("heap %d KiB, goroutines %d\n", stats.HeapAlloc/1024, runtime.NumGoroutine())
	status, err := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "RssAnon") {
			fmt.Print(line)
		}
	}
	fmt.Println("ready")
	return err
}
