// Command station is a whole charging station on one machine: a main board and
// one or more satellite boards, each an operating system process of its own
// with its own broker, EVerest manager and modules. The modules SatelliteController
// and SatelliteAgent of this repository join them.
//
//	go run ./examples/station
//	go run ./examples/station -satellites 3 -speed 20 -once
//	go run ./examples/station -kill satellite1@5s
//	go run ./examples/station -flap 5s -once
//
// A satellite's charge port replays a charging session and then a series of
// errors, both recorded from a real EvseManager, and answers commands. The main
// board plays Auth, the energy manager and OCPP. Each board reports what it sends
// and receives, and a ledger compares both sides. With -once everything is played
// once, and the exit status is 0 only if the ledger balances.
//
// The process that was started holds no EVerest. It starts itself once more for
// each board, as systemd would start EVerest there:
//
//	main.go        the two ways in: the station, or one board of it
//	layout.go      which boards there are, and what each is told
//	board.go       one board's process
//	main_board.go, satellite_board.go, link.go    the modules of a board
//	report.go      what passes between the station and a board
//	window.go      the page and the status sockets, to look into the station
//	station.go, round.go, summary.go    starts the boards, lets them play, shows the result
//
// The modules around the link are stand-ins from examples/internal/standin.
// doc/station.md explains the options and the output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/remotechargeport/remotechargeport/examples/internal/board"
	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/scenario"
	"github.com/remotechargeport/remotechargeport/examples/internal/supervisor"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// errorPrefix precedes the error that a process ends with, also in the boards'
// logs.
const errorPrefix = "station: "

// These first arguments make the process a part of a station: a board, or one
// module of the link. A name follows, for readers of the list of processes.
const (
	boardArgument = "-board"
	linkArgument  = "-link"
)

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
		part := map[string]partFunc{boardArgument: runBoard, linkArgument: runLink}[arguments[0]]
		if part != nil {
			// A terminal's Ctrl-C reaches every process. The station ends its parts in order.
			signal.Ignore(os.Interrupt)
			return part(context.Background(), os.Stdin, os.Stdout, os.Stderr)
		}
	}
	flags, err := ParseFlags(arguments, os.Stdout)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	screen := terminal.New(os.Stdout, !flags.Plain && terminal.IsTerminal(os.Stdout))
	if flags.Scenario == listScenarios {
		_, err := fmt.Println(strings.Join(scenario.Names(), "\n"))
		return err
	}
	var play recording.Play
	if flags.Scenario == "" {
		if play, err = wholePlay(flags); err != nil {
			return err
		}
	}
	sockets := func(int) string { return "" }
	var begin, end func(context.Context)
	if !flags.Once && flags.Page != "none" {
		window, err := openWindow(flags.Page, flags.Satellites, screen)
		if err != nil {
			return err
		}
		defer window.Close()
		sockets = window.Sockets
		if terminal.IsTerminal(os.Stdin) && terminal.IsTerminal(os.Stdout) {
			begin, end = spectators(os.Stdin, screen)
		}
	}
	if flags.Scenario != "" {
		return scenario.Run(ctx, scenario.Config{
			Name: flags.Scenario, Satellites: flags.Satellites, Log: os.Stderr, LogLevel: flags.LogLevel, Screen: screen, Sockets: sockets,
			Begin: begin, End: end,
		})
	}
	return runStation(ctx, flags, play, sockets, screen)
}

// wholePlay returns the recordings, which must last longer than the times in the flags.
func wholePlay(flags Flags) (recording.Play, error) {
	play, err := recording.Whole()
	if err != nil {
		return play, err
	}
	for _, kill := range flags.Kill {
		if kill.At >= play.Length {
			return play, fmt.Errorf("-kill %s@%v: the recordings last %v; give a time before their end", kill.Board, kill.At, play.Length)
		}
	}
	return play, nil
}

// runStation runs all boards as processes until the context ends, or with -once
// until everything was played.
func runStation(ctx context.Context, flags Flags, play recording.Play, sockets func(board int) string, screen *terminal.Screen) error {
	ports, err := board.FreePorts(flags.Satellites)
	if err != nil {
		return err
	}
	boards := Boards(flags, ports)
	for i := range boards {
		boards[i].Sockets = sockets(boards[i].Satellite)
	}
	station := NewStation(flags, boards, play.Length, supervisor.Program(boardArgument, func(board string) any {
		for _, config := range boards {
			if config.Name == board {
				return Order{Board: &config}
			}
		}
		return nil
	}), screen)
	if flags.Flap > 0 {
		main := &boards[0]
		if station.flapping, main.Ports, err = forwarder.Flap(flags.Flap, ports); err != nil {
			return err
		}
		defer station.flapping.Close()
		main.LinkTimeout = station.flapping.LinkTimeout()
	}
	err = station.Run(ctx)
	station.Summary()
	return err
}
