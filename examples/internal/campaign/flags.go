//go:build linux

package campaign

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
)

// shortForm is the default number of faults: one deck, and a third of another.
var shortForm = deckSize + deckSize/3

// Flags are what the user asked for.
type Flags struct {
	Faults   int
	Seed     uint64
	Speed    float64
	Silence  time.Duration
	Window   time.Duration
	Embedded bool
	Race     bool
	// Secure protects the link by mutual TLS.
	Secure bool
	// Programs is the folder of the programs agent and controller; empty builds them.
	Programs string
	// Isolate sets the main board's loss policy to isolate.
	Isolate bool
	// Standalone runs the modules as a system manager does: they outlive their brokers.
	Standalone bool
	// All makes the faults in several campaigns at once, see runAll.
	All  bool
	Only []Kind
	Logs bool
	// Idle is how long to measure an idle link; 0 makes faults instead.
	Idle time.Duration
}

// ParseFlags reads the arguments without the program's name.
func ParseFlags(arguments []string, help io.Writer) (Flags, error) {
	f := Flags{Seed: uint64(time.Now().UnixNano())}
	set := flag.NewFlagSet("campaign", flag.ContinueOnError)
	set.SetOutput(help)
	set.IntVar(&f.Faults, "faults", shortForm, "how many faults to make")
	set.Uint64Var(&f.Seed, "seed", f.Seed, "draw the faults from this number (default: another one each time)")
	set.Float64Var(&f.Speed, "speed", 5, "replay the traffic this many times faster than it was recorded")
	set.DurationVar(&f.Silence, "silence", 500*time.Millisecond, "the controller's link_timeout_ms")
	set.DurationVar(&f.Window, "window", 8*time.Second, "resume_window_s, in seconds: after a longer outage both boards start afresh")
	set.BoolVar(&f.Embedded, "embedded", false, "use the embedded MQTT broker where mosquitto is installed, too")
	set.BoolVar(&f.Race, "race", false, "build the modules with the race detector")
	set.BoolVar(&f.Isolate, "isolate", false, "set on_loss to isolate: the main board outlives its satellite")
	set.BoolVar(&f.Standalone, "standalone", false, "run the modules as systemd does: they outlive their brokers, which are cut, stalled and restarted")
	set.BoolVar(&f.All, "all", false, "make the faults, of every kind, in four campaigns at once: plain, with -mutual-tls, with -isolate, with -standalone")
	set.BoolVar(&f.Secure, "mutual-tls", false, "set security to mutual-tls, with an identity for each board")
	set.StringVar(&f.Programs, "programs", "", "take the programs agent and controller from this `folder` instead of building them")
	set.BoolVar(&f.Logs, "logs", false, "print what the modules and brokers write")
	set.DurationVar(&f.Idle, "idle", 0, "make no faults and no traffic, and measure for so long what the modules cost")
	set.Func("only", "make only faults of this `kind`; repeatable", func(text string) error {
		for _, kind := range kinds {
			if string(kind.kind) == text {
				f.Only = append(f.Only, kind.kind)
				return nil
			}
		}
		return fmt.Errorf("no such kind; there are: %s", strings.Join(kindNames(), "; "))
	})
	if commandline.Version(set, arguments, help) {
		return Flags{}, flag.ErrHelp
	}
	if err := set.Parse(arguments); err != nil {
		return Flags{}, err
	}
	if f.Standalone && len(f.Only) == 0 {
		f.Only = livingOn
	}
	for _, kind := range f.Only {
		switch {
		case kind.broker() != metNothing && !f.Standalone:
			return Flags{}, fmt.Errorf("-only %q: give -standalone, too: other modules end with their broker", kind)
		case f.Standalone && !slices.Contains(livingOn, kind):
			return Flags{}, fmt.Errorf("-only %q: not with -standalone", kind)
		}
	}
	switch {
	case f.All && (f.Standalone || f.Isolate || f.Secure || f.Embedded || f.Idle > 0 || len(f.Only) > 0):
		return Flags{}, errors.New("-all has every kind and form: give no others")
	case f.Standalone && f.Embedded:
		return Flags{}, errors.New("-standalone needs mosquitto: the embedded broker keeps no sessions")
	case set.NArg() > 0:
		return Flags{}, fmt.Errorf("unexpected argument %q; see -h", set.Arg(0))
	case f.Faults < 1:
		return Flags{}, fmt.Errorf("-faults %d: give a number above 0", f.Faults)
	case !(f.Speed > 0 && f.Speed <= 100):
		return Flags{}, fmt.Errorf("-speed %v: give a number above 0 and up to 100", f.Speed)
	case f.Silence < 200*time.Millisecond || f.Silence > time.Minute:
		return Flags{}, fmt.Errorf("-silence %v: give a time from 200ms to 1m", f.Silence)
	case f.Window < time.Second:
		return Flags{}, fmt.Errorf("-window %v: give at least 1s", f.Window)
	}
	return f, nil
}

func kindNames() (names []string) {
	for _, kind := range kinds {
		names = append(names, string(kind.kind))
	}
	return names
}
