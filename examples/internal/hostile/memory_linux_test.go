package hostile

import (
	"context"
	"flag"
	"fmt"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	long  = flag.Bool("hostile.long", false, "tell each lie plainly and over TLS, to a program for 64 and for 32 bits")
	lasts = flag.Duration("hostile.for", 500*time.Millisecond, "how long each lie lasts")
	only  = flag.String("hostile.only", "", "tell only the lie of this name")
)

const (
	// maxGrowth is how much memory in KiB a controller may take above its idle level, whatever its satellite sends.
	maxGrowth = 64 << 10
	// maxLatency is how long a call of another EVSE may take meanwhile. It takes milliseconds: the bound is for busy machines.
	maxLatency = 10 * time.Second
)

// programs are those of the tests: controllers for this machine and for 32 bits, and an agent.
var programs struct {
	native, narrow, agent func() (string, error)
}

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	// The stations wait more than they work.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	flag.Parse()
	folder, err := os.MkdirTemp("", "hostile")
	if err != nil {
		panic(err)
	}
	programs.native = sync.OnceValues(func() (string, error) { return build(folder, "controller", "") })
	programs.narrow = sync.OnceValues(func() (string, error) { return build(folder, "controller", "386") })
	programs.agent = sync.OnceValues(func() (string, error) { return build(folder, "agent", "") })
	status := m.Run()
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	os.Exit(status)
}

func build(folder, name, architecture string) (string, error) {
	program := filepath.Join(folder, name+architecture)
	command := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program,
		"github.com/remotechargeport/remotechargeport/examples/"+name)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if architecture != "" {
		command.Env = append(command.Env, "GOARCH="+architecture)
	}
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build of the %s: %w\n%s", name, err, output)
	}
	return program, nil
}

// Whatever a satellite sends that was taken over, its controller holds little, lives, and links again when the satellite
// comes to its senses. The other EVSEs of the station do not notice.
func TestASatelliteThatLies(t *testing.T) {
	skipWithRace(t)
	for i, lie := range Lies() {
		if *only != "" && lie.Name != *only {
			continue
		}
		for _, legacy := range []bool{false, true} {
			if legacy && !lie.Legacy || !legacy && !lie.V2 {
				continue
			}
			for j, variant := range []struct {
				name           string
				secure, narrow bool
			}{{"plain", false, false}, {"mutual-tls", true, false}, {"32 bits", false, true}, {"32 bits, mutual-tls", true, true}} {
				// The short form tells each lie once.
				if !*long && (i%4 != j) || variant.narrow && runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, %s", lie.Name, dialectOf(legacy), variant.name), func(t *testing.T) {
					t.Parallel()
					listen(t, lie, options{program: program(t, variant.narrow), legacy: legacy, secure: variant.secure})
				})
			}
		}
	}
}

// The same while the main board starts, when nothing is published yet.
func TestASatelliteThatLiesWhileTheMainBoardStarts(t *testing.T) {
	skipWithRace(t)
	for _, lie := range Lies() {
		if *only != "" && lie.Name != *only || lie.atAgreement || !*long && !lie.kept {
			continue
		}
		for _, legacy := range []bool{false, true} {
			if legacy && !lie.Legacy || !legacy && !lie.V2 || !lie.takes("link_events") && !lie.takes("retrieve_vars_and_errors") {
				continue
			}
			t.Run(lie.Name+", "+dialectOf(legacy), func(t *testing.T) {
				t.Parallel()
				listen(t, lie, options{program: program(t, false), legacy: legacy, starting: true})
			})
		}
	}
}

// skipWithRace skips a test of programs, which are built without the race detector.
func skipWithRace(t *testing.T) {
	t.Helper()
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector sees nothing of the programs, and they run without it in the same tests")
	}
}

func dialectOf(legacy bool) string {
	if legacy {
		return "legacy"
	}
	return "v2"
}

func program(t *testing.T, narrow bool) string {
	t.Helper()
	of := programs.native
	if narrow {
		of = programs.narrow
	}
	path, err := of()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// listen tells a controller a lie, and checks what it costs.
func listen(t *testing.T, lie *Lie, o options) {
	s := startStation(t, o)
	s.connected()
	memory := newMeter(s)
	ctx, cancel := context.WithTimeout(t.Context(), *lasts)
	defer cancel()
	var beside sync.WaitGroup
	beside.Go(func() { memory.run(ctx) })
	s.satellite.Tell(lie)
	if !o.starting {
		s.callLiar(ctx, &beside)
		slowest, err := s.callHonest(ctx)
		if err != nil {
			t.Error(err)
		}
		if slowest > maxLatency {
			t.Errorf("a call of the other EVSE took %v", slowest)
		}
		t.Logf("the other EVSE was called within %v", slowest)
	}
	beside.Wait()
	// A busy machine may have told it late.
	s.until("the lie is told", func() bool { memory.read(); return s.satellite.Told() > 0 || s.isEnded() })
	memory.read()
	t.Logf("MEMORY %-60s %6d lies; %5d KiB idle, +%6d KiB at most, +%6d KiB at the end", t.Name(), s.satellite.Told(), memory.idle, memory.peak-memory.idle, memory.now-memory.idle)
	if memory.peak-memory.idle > maxGrowth {
		t.Errorf("the controller took %d KiB above the %d KiB of its idle level", memory.peak-memory.idle, memory.idle)
	}
	s.satellite.Tell(nil)
	s.connected()
	// A legacy link that is lost ends the process, and a supervisor starts the board again.
	if s.isEnded() && (!o.legacy || s.controller.ProcessState.ExitCode() != 1) {
		t.Errorf("the controller ended: %v", s.controller.ProcessState)
	}
}
