package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// errorPrefix precedes the error that a process ends with, also in the boards'
// logs.
const errorPrefix = "station: "

// boardArgument as first argument makes the process a board; its name follows, for
// those who list processes. The station itself uses it.
const boardArgument = "-board"

func main() { os.Exit(status(os.Args[1:])) }

// status runs the program and returns its exit status.
func status(arguments []string) int {
	err := run(arguments)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(os.Stderr, errorPrefix+err.Error())
	return 1
}

func run(arguments []string) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case boardArgument:
			return RunBoard(context.Background(), os.Stdin, os.Stdout, os.Stderr)
		case linkArgument:
			return RunLink(context.Background(), os.Stdin, os.Stdout, os.Stderr)
		}
	}
	flags, err := ParseFlags(arguments, os.Stdout)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if flags.Scenario != "" {
		return runScenario(ctx, flags, newScenarioView(os.Stdout, !flags.Plain && isTerminal(os.Stdout)))
	}
	return runStation(ctx, flags, NewView(os.Stdout, flags.Plain), os.Stdout)
}

// runStation runs all boards as processes until the context ends, or with -once
// until everything was played. The summary goes to output.
func runStation(ctx context.Context, flags Flags, view View, output io.Writer) error {
	play, err := recordedPlay()
	if err != nil {
		return err
	}
	for _, kill := range flags.Kill {
		if kill.At >= play.Length {
			return fmt.Errorf("-kill %s@%v: the recordings last %v; give a time before their end", kill.Board, kill.At, play.Length)
		}
	}
	ports, err := FreePorts(flags.Satellites)
	if err != nil {
		return err
	}
	links := ports
	var wires []*Wire
	if flags.Flap > 0 {
		if wires, links, err = OpenWires(ports); err != nil {
			return err
		}
		defer closeWires(wires)
	}
	events := make(chan Event)
	processes := NewProcesses(events)
	start := func(board BoardConfig) (boardProcess, error) { return processes.Start(board) }
	station := NewStation(flags, Boards(flags, ports, links), play.Length, start, events, view)
	var cut []cuttable
	for _, wire := range wires {
		cut = append(cut, wire)
	}
	station.Flap(cut)
	err = station.Run(ctx)
	processes.Close()
	station.Summary(output)
	return err
}
