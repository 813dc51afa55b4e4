package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/wire"
	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/scenario"
)

// maxSatellites is how many satellites the stand-ins' manifests allow.
const maxSatellites = 64

// Flags are what the user asked for.
type Flags struct {
	Satellites      int
	Speed           float64
	Once            bool
	BrokerMain      string
	BrokerSatellite []string
	Kill            []Kill
	LogLevel        string
	Plain           bool
	// Apart runs each agent and controller as a process of its own.
	Apart bool
	// Flap is how often each link is cut, in real time; 0 for never.
	Flap time.Duration
	// FamilyMain and FamilySatellite are the families of the messages of the boards' EVerests.
	FamilyMain, FamilySatellite string
	// Page is the address of the page, "none" for no page and no status sockets.
	Page string
	// Scenario is one of package scenario, or listScenarios; empty plays the recordings.
	Scenario string
}

// listScenarios, in place of a scenario, prints the names of all.
const listScenarios = "list"

// Kill is one board's sudden end.
type Kill struct {
	Board string
	// At is when, in time of the recording since the play began.
	At time.Duration
}

// ParseFlags reads the arguments without the program's name. If they ask for help,
// it writes that to help and returns flag.ErrHelp.
func ParseFlags(args []string, help io.Writer) (Flags, error) {
	var f Flags
	set := flag.NewFlagSet("station", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.IntVar(&f.Satellites, "satellites", 1, "number of satellite boards")
	set.Float64Var(&f.Speed, "speed", 1, "play the recordings this many times faster than they were recorded")
	set.BoolVar(&f.Once, "once", false, "play once, print a summary, and exit 0 only if nothing is missing")
	set.StringVar(&f.BrokerMain, "broker-main", "", "`URL` of the main board's broker, tcp://host:port or unix:///path (default: an embedded one)")
	set.Func("broker-satellite", "`URL` of a satellite board's broker; give it once per satellite, or once for all of them", func(url string) error {
		f.BrokerSatellite = append(f.BrokerSatellite, url)
		return nil
	})
	set.Func("kill", "kill a board, such as `satellite1@5s`, that long after the recording's begin; repeatable", func(text string) error {
		kill, err := ParseKill(text)
		f.Kill = append(f.Kill, kill)
		return err
	})
	set.DurationVar(&f.Flap, "flap", 0, "cut each link again and again after this `time`, such as 5s, for two fifths of it")
	set.BoolVar(&f.Apart, "apart", false, "run each agent and controller as a process of its own, as EVerest's manager does")
	set.StringVar(&f.LogLevel, "log", "error", "lowest level of the boards' logs that is shown: debug, info, warn or error")
	set.BoolVar(&f.Plain, "plain", false, "print lines even where the output is a terminal")
	for name, families := range map[string][]*string{
		"everest": {&f.FamilyMain, &f.FamilySatellite}, "everest-main": {&f.FamilyMain}, "everest-satellite": {&f.FamilySatellite},
	} {
		set.Func(name, "`release` whose messages the boards' EVerests speak, such as 2025.1 or the name of a family such as B2 (default 2026.02)", func(text string) error {
			family, err := familyOf(text)
			for _, target := range families {
				*target = family
			}
			return err
		})
	}
	set.StringVar(&f.Page, "page", "127.0.0.1:9477", "`address` of the page that shows the station, or none; -once has none")
	set.StringVar(&f.Scenario, "scenario", "", "play OCPP's part instead of the recordings, all boards as one system: the name of a scenario, or "+listScenarios+" for all names")
	if commandline.Version(set, args, help) {
		return Flags{}, flag.ErrHelp
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(help)
		fmt.Fprintln(help, "Runs the main board and the satellite boards of a charging station until it is interrupted.")
		set.PrintDefaults()
		return Flags{}, err
	case err != nil:
		return Flags{}, fmt.Errorf("%w; see -help", err)
	}
	if set.NArg() > 0 {
		return Flags{}, fmt.Errorf("unexpected argument %q; see -help", set.Arg(0))
	}
	return f, f.check()
}

func (f Flags) check() error {
	if f.Scenario != "" && f.Scenario != listScenarios && !slices.Contains(scenario.Names(), f.Scenario) {
		return fmt.Errorf("-scenario %s: there is no such scenario; -scenario %s has all names", f.Scenario, listScenarios)
	}
	if f.Flap != 0 && (f.Flap < forwarder.MinFlapping || f.Scenario != "") {
		return fmt.Errorf("-flap %v: give a time from %v on, and no -scenario", f.Flap, forwarder.MinFlapping)
	}
	if f.Satellites < 1 || f.Satellites > maxSatellites {
		return fmt.Errorf("-satellites %d: give a number from 1 to %d", f.Satellites, maxSatellites)
	}
	if !(f.Speed > 0 && f.Speed <= 1000) {
		return fmt.Errorf("-speed %v: give a number above 0 and up to 1000", f.Speed)
	}
	if n := len(f.BrokerSatellite); n > 1 && n != f.Satellites {
		return fmt.Errorf("-broker-satellite is given %d times for %d satellites: give it once per satellite, or once for all of them", n, f.Satellites)
	}
	if _, err := zapcore.ParseLevel(f.LogLevel); err != nil {
		return fmt.Errorf("-log %s: give debug, info, warn or error", f.LogLevel)
	}
	for _, url := range append([]string{f.BrokerMain}, f.BrokerSatellite...) {
		if url == "" {
			continue
		}
		if _, err := everest.BrokerFromURL(url); err != nil {
			return err
		}
	}
	for _, kill := range f.Kill {
		if err := kill.check(f.Satellites); err != nil {
			return err
		}
	}
	return nil
}

// familyOf returns the name of a family, given that or a release of it.
func familyOf(text string) (string, error) {
	release, known := wire.Find(text)
	if !known {
		release, known = wire.FindRelease(text)
	}
	if !known || !slices.Contains(everesttest.Families(), release.Name) {
		return "", fmt.Errorf("give a release from 2024.3 on, such as 2024.9, or a family: %s", strings.Join(everesttest.Families(), ", "))
	}
	return release.Name, nil
}

// ParseKill reads "satellite1@5s" or "main@500ms".
func ParseKill(text string) (Kill, error) {
	board, after, found := strings.Cut(text, "@")
	if !found {
		return Kill{}, errors.New("give BOARD@TIME, such as satellite1@5s")
	}
	at, err := time.ParseDuration(after)
	if err != nil || at < 0 {
		return Kill{}, fmt.Errorf("%q is no time: give one such as 5s or 500ms", after)
	}
	return Kill{Board: board, At: at}, nil
}

func (k Kill) check(satellites int) error {
	known := k.Board == boardMain
	for number := 1; number <= satellites; number++ {
		known = known || k.Board == satelliteName(number)
	}
	if !known {
		return fmt.Errorf("-kill %s: there is no such board, only %s and %s to %s", k.Board, boardMain, satelliteName(1), satelliteName(satellites))
	}
	return nil
}
