package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/forwarder"
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
	layout := Boards(flags, ports)
	var flapping *forwarder.Flapping
	if flags.Flap > 0 {
		links, err := forward(ports)
		defer closeAll(links)
		if err != nil {
			return err
		}
		flapping = flap(flags.Flap, links, &layout[0])
	}
	events := make(chan Event)
	processes := NewProcesses(events)
	start := func(board BoardConfig) (boardProcess, error) { return processes.Start(board) }
	station := NewStation(flags, layout, play.Length, start, events, view)
	station.flapping = flapping
	var running sync.WaitGroup
	cutting, stop := context.WithCancel(ctx)
	if flapping != nil {
		running.Go(func() { flapping.Run(cutting) })
	}
	err = station.Run(ctx)
	stop()
	running.Wait()
	processes.Close()
	station.Summary(output)
	return err
}

// forward puts a forwarder in front of every agent. It returns those it has made
// also with an error.
func forward(agents []int) ([]*forwarder.Forwarder, error) {
	var links []*forwarder.Forwarder
	for _, port := range agents {
		link, err := forwarder.Listen(net.JoinHostPort(agentAddress, strconv.Itoa(port)))
		if err != nil {
			return links, err
		}
		links = append(links, link)
	}
	return links, nil
}

func closeAll(links []*forwarder.Forwarder) {
	for _, link := range links {
		link.Close()
	}
}

// flap lets the main board's controllers connect over the links, and returns what
// cuts those.
func flap(interval time.Duration, links []*forwarder.Forwarder, main *BoardConfig) *forwarder.Flapping {
	var cut []forwarder.Link
	main.Ports = nil
	for _, link := range links {
		cut = append(cut, link)
		main.Ports = append(main.Ports, link.Port())
	}
	flapping := forwarder.NewFlapping(interval, cut...)
	main.LinkTimeout = flapping.LinkTimeout()
	return flapping
}
