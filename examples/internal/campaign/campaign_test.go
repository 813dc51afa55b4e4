//go:build linux

package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(embeddedBroker); socket != "" {
		panic(serveBroker(socket))
	}
	// Campaigns wait more than they work.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
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

var longForm = flag.Bool("campaign.long", false, "make every kind of fault, which takes more than a minute")

// Every kind of fault, in the long form one deck and a third of another.
func TestCampaign(t *testing.T) {
	play(t, faults(6, Cut, Stall, Loss, StopController, Hole, KillAgent), nil)
}

// The embedded broker does as well, where there is no mosquitto.
func TestCampaignOnTheEmbeddedBroker(t *testing.T) {
	play(t, faults(2, PortPulled, KillPortBroker), faults(3, PortPulled, KillPortBroker), "-embedded")
}

// A protected link is resumed as any other.
func TestCampaignOnAProtectedLink(t *testing.T) {
	play(t, faults(3, Cut, Hole, KillController), faults(7, Cut, Stall, Loss, Hole, KillController, Announced), "-mutual-tls")
}

// Strangers, values that cannot be carried and another satellite that lies cost a link nothing. The long form has them in each
// deck.
func TestCampaignAmongOthers(t *testing.T) {
	only := faults(5, Poison, SilentStrangers, NoisyStrangers, Liar)
	play(t, only, only)
}

// An isolating main board outlives its satellite.
func TestCampaignIsolating(t *testing.T) {
	play(t, faults(3, KillAgent, KillController, StopAgent), faults(6, KillAgent, KillPortBroker, KillController, StopAgent), "-isolate")
}

// Modules that live on lose nothing to a broker that is cut, stalled or restarted.
func TestCampaignOfModulesThatLiveOn(t *testing.T) {
	short := faults(4, CutPortBroker, StallMainBroker, RestartMainBroker, RestartPortBroker)
	play(t, short, []string{"-faults", strconv.Itoa(len(livingOn))}, "-standalone")
}

// faults returns the arguments for count faults of the given kinds.
func faults(count int, kinds ...Kind) []string {
	arguments := []string{"-faults", strconv.Itoa(count)}
	for _, kind := range kinds {
		arguments = append(arguments, "-only", string(kind))
	}
	return arguments
}

// play runs a campaign of the short form, or with -campaign.long of the long one.
func play(t *testing.T, short, long []string, more ...string) {
	t.Helper()
	t.Parallel()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	if !*longForm {
		long = short
	}
	// A busy machine is silent for long, resumes late, and the traffic is work for it.
	more = append(more, "-silence", "1s", "-window", "30s", "-speed", "2")
	flags, err := ParseFlags(append(more, long...), writer{t})
	if err != nil {
		t.Fatal(err)
	}
	flags.Programs, flags.Race = programs, raceEnabled
	err = runCampaign(t.Context(), flags, writer{t})
	if errors.Is(err, errNoRight) && !required() {
		t.Skip(err)
	}
	if err != nil {
		t.Error(err)
	}
}

// required reports whether the campaign has to run: in CI, where the programs for it are installed.
func required() bool {
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	return os.Getenv("CI") != ""
}
