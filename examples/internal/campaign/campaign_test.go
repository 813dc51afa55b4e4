//go:build linux

package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(embeddedBroker); socket != "" {
		panic(serveBroker(socket))
	}
	flag.Parse()
	folder, err := os.MkdirTemp("", "campaign")
	if err != nil {
		panic(err)
	}
	programs = folder
	status := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	if err := goleak.Find(); status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// programs is where the tests find the modules' programs, once built has built them.
var (
	programs string
	built    = sync.OnceValue(func() error { return build(context.Background(), programs, raceEnabled) })
)

// writer writes to the test's log.
type writer struct{ t *testing.T }

func (w writer) Write(text []byte) (int, error) {
	w.t.Logf("%s", text)
	return len(text), nil
}

// The short form: one deck of faults.
func TestCampaign(t *testing.T) {
	flags, err := ParseFlags(nil, writer{t})
	if err != nil {
		t.Fatal(err)
	}
	play(t, flags)
}

// The embedded broker does as well, where there is no mosquitto.
func TestCampaignOnTheEmbeddedBroker(t *testing.T) {
	flags, err := ParseFlags([]string{"-embedded", "-faults", "3", "-only", string(PortPulled), "-only", string(KillPortBroker)}, writer{t})
	if err != nil {
		t.Fatal(err)
	}
	play(t, flags)
}

// A protected link is resumed as any other.
func TestCampaignOnAProtectedLink(t *testing.T) {
	flags, err := ParseFlags([]string{"-mutual-tls", "-faults", "5", "-only", string(Cut), "-only", string(Stall), "-only", string(Loss),
		"-only", string(KillController)}, writer{t})
	if err != nil {
		t.Fatal(err)
	}
	play(t, flags)
}

// An isolating main board outlives its satellite.
func TestCampaignIsolating(t *testing.T) {
	flags, err := ParseFlags([]string{"-isolate", "-faults", "6", "-only", string(KillAgent), "-only", string(KillPortBroker),
		"-only", string(KillController), "-only", string(StopAgent)}, writer{t})
	if err != nil {
		t.Fatal(err)
	}
	play(t, flags)
}

func play(t *testing.T, flags Flags) {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	flags.Programs = programs
	err := runCampaign(t.Context(), flags, writer{t})
	if errors.Is(err, errNoRight) && !required() {
		t.Skip(err)
	}
	if err != nil {
		t.Error(err)
	}
}

// required tells whether the campaign has to run: in CI, where the programs for it are installed.
func required() bool {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return os.Getenv("CI") != ""
}
