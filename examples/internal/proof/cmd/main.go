//go:build linux

// Command cmd runs a main board and a satellite board of installed EVerests, plays the scenarios of package proof on
// them, and prints a table of what was seen:
//
//	go run ./examples/internal/proof/cmd -main /opt/everest -satellite /opt/everest
//
// It needs mosquitto, and prefixes that have the modules of its configurations. It writes nothing below the prefixes.
// With -standins it needs neither: it runs the scenarios on the stand-ins.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/commandline"
	"github.com/remotechargeport/remotechargeport/examples/internal/proof"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

// options are the flags of the program.
type options struct {
	world     proof.Installed
	standIns  bool
	verbatim  bool
	checks    bool
	keep      bool
	outages   bool
	patience  time.Duration
	scenarios string
	pairings  string
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("proof", flag.ContinueOnError)
	flags.StringVar(&o.world.Main, "main", "", "prefix of the main board's EVerest")
	flags.StringVar(&o.world.Satellite, "satellite", "", "prefix of the satellite's EVerest; the main board's by default")
	flags.StringVar(&o.world.CPP, "cpp", "", "prefix of an EVerest with the C++ modules of the link, for the pairings with them")
	flags.StringVar(&o.world.Programs, "programs", "", "folder with the programs SatelliteAgent and SatelliteController; built by default")
	flags.StringVar(&o.world.V2GInterface, "v2g", "", "network interface for ISO 15118; without it, the satellite has no module for it")
	flags.StringVar(&o.world.Folder, "folder", "", "folder for the files and logs of the stations; a temporary one by default")
	flags.BoolVar(&o.keep, "keep", false, "keep the temporary folder")
	flags.BoolVar(&o.standIns, "standins", false, "run on stand-ins instead of installed EVerests")
	flags.BoolVar(&o.outages, "outages", false, "play the scenarios in which a board or the link is lost; they take an hour")
	flags.BoolVar(&o.checks, "checks", false, "print a line for each check")
	flags.BoolVar(&o.verbatim, "verbatim", false, "add a column with identities verbatim, whose faults are expected")
	flags.DurationVar(&o.patience, "patience", 20*time.Second, "how long each check waits for what it wants to see")
	flags.StringVar(&o.scenarios, "scenarios", "", "run only the scenarios whose name contains this")
	flags.StringVar(&o.pairings, "pairings", "", "run only the pairings whose name contains this")
	if commandline.Version(flags, arguments, os.Stdout) {
		return o, flag.ErrHelp
	}
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.world.Main == "" && !o.standIns {
		return o, errors.New("-main is missing; see -h")
	}
	if o.world.Satellite == "" {
		o.world.Satellite = o.world.Main
	}
	return o, nil
}

func run(ctx context.Context, arguments []string) error {
	o, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	var world proof.World = proof.StandIns{Quicker: 10}
	if !o.standIns {
		clean, err := o.prepare(ctx)
		defer clean()
		if err != nil {
			return err
		}
		world = o.world
	}
	pairings := proof.Pairings()
	if o.outages && o.pairings == "" {
		pairings = pairings[:1] // the others have no loss policy but restart
	}
	if o.verbatim {
		pairings = append(pairings, proof.Verbatim())
	}
	var columns []proof.Column
	faults := 0
	for _, pairing := range pairings {
		if !strings.Contains(pairing.String(), o.pairings) {
			continue
		}
		column, err := o.column(ctx, world, pairing)
		if err != nil {
			return err
		}
		if pairing != proof.Verbatim() {
			faults += column.Faults()
		}
		columns = append(columns, column)
	}
	if err := proof.WriteTable(os.Stdout, o.all(), columns, o.checks); err != nil {
		return err
	}
	if faults > 0 {
		return fmt.Errorf("%d checks failed", faults)
	}
	return nil
}

// all returns the scenarios of which the flags select some.
func (o options) all() []proof.Scenario {
	if o.outages {
		return proof.Outages()
	}
	return proof.Scenarios()
}

// column plays the scenarios for one pairing.
func (o options) column(ctx context.Context, world proof.World, pairing proof.Pairing) (proof.Column, error) {
	column := proof.Column{Pairing: pairing.String(), Findings: map[string][]proof.Finding{}}
	if pairing.NeedsCPP() && (o.world.CPP == "" || o.standIns) {
		column.NotRun = "no prefix with the C++ modules was given"
		return column, nil
	}
	for _, scenario := range o.all() {
		if !strings.Contains(scenario.Name, o.scenarios) || scenario.Installed && o.standIns {
			continue
		}
		findings, err := scenario.Play(ctx, world, pairing, proof.Patience{Steps: o.patience, Checks: o.patience})
		if err != nil {
			return column, err
		}
		column.Findings[scenario.Name] = findings
		faults := proof.Faults(findings)
		fmt.Fprintf(os.Stderr, "%s: %s: %d checks, %d faults\n", pairing, scenario.Name, len(findings), len(faults))
		for _, fault := range faults {
			fmt.Fprintln(os.Stderr, "  "+fault)
		}
	}
	return column, nil
}

// prepare makes the folder for the stations and builds the programs. The caller must call clean.
func (o *options) prepare(ctx context.Context) (clean func(), err error) {
	clean = func() {}
	if o.world.Folder == "" {
		if o.world.Folder, err = os.MkdirTemp("", "proof-"); err != nil {
			return clean, err
		}
		folder := o.world.Folder
		clean = func() {
			if o.keep {
				fmt.Fprintln(os.Stderr, "files and logs:", folder)
				return
			}
			_ = os.RemoveAll(folder)
		}
	}
	if o.world.Programs == "" {
		o.world.Programs = filepath.Join(o.world.Folder, "programs")
		if err := os.MkdirAll(o.world.Programs, 0o755); err != nil {
			return clean, err
		}
		return clean, proof.BuildPrograms(ctx, o.world.Programs)
	}
	return clean, nil
}
