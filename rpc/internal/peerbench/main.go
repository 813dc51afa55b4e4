// Command peerbench runs the same work with package rpc and with other RPC libraries: calls of one function that
// returns its argument, a text, over loopback, each end in a process of its own. It runs the libraries in turn, in
// several rounds, and prints a table for each work: the median, the least, the most, and the ratio to a reference.
//
//	go run . [-rounds 5] [-seconds 1] [-only regexp] [-reference name] [name=server command::client command ...]
//
// A command pair takes part like a library. Its server prints "READY <port>" and listens on 127.0.0.1. Its client is
// given -addr, -connections, -in-flight, -size and -seconds, and prints its figures as one JSON object:
// calls_per_second, p50_us, p99_us, cpu_us_per_call. Either may be "@name", the end of a library of this program.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "peerbench:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 1 && args[0] == "serve" {
		return serveMain(args[1], os.Stdout)
	}
	if len(args) > 1 && args[0] == "load" {
		return loadMain(args[1], args[2:], os.Stdout)
	}
	flags := flag.NewFlagSet("peerbench", flag.ContinueOnError)
	b := bench{}
	flags.IntVar(&b.rounds, "rounds", 5, "rounds")
	flags.Float64Var(&b.seconds, "seconds", 1, "seconds of each run")
	flags.StringVar(&b.reference, "reference", "raw TCP", "the row that the ratios are of")
	only := flags.String("only", "", "`regexp` of the names that take part")
	works := flags.String("works", "", "`regexp` of the works that are done")
	if err := flags.Parse(args); err != nil {
		return err
	}
	taking, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	doing, err := regexp.Compile(*works)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, l := range libraries {
		if taking.MatchString(l.name) {
			b.pairs = append(b.pairs, pair{name: l.name, server: []string{self, "serve", l.name}, client: []string{self, "load", l.name}})
		}
	}
	for _, arg := range flags.Args() {
		p, err := parsePair(self, arg)
		if err != nil {
			return err
		}
		b.pairs = append(b.pairs, p)
	}
	for _, w := range allWorks {
		if doing.MatchString(w.name) {
			b.works = append(b.works, w)
		}
	}
	return b.run()
}

func parsePair(self, arg string) (pair, error) {
	name, commands, ok := strings.Cut(arg, "=")
	server, client, both := strings.Cut(commands, "::")
	if !ok || !both {
		return pair{}, fmt.Errorf("%q is not name=server command::client command", arg)
	}
	p := pair{name: name, server: strings.Fields(server), client: strings.Fields(client)}
	if library, ok := strings.CutPrefix(server, "@"); ok {
		p.server = []string{self, "serve", library}
	}
	if library, ok := strings.CutPrefix(client, "@"); ok {
		p.client = []string{self, "load", library}
	}
	if len(p.server) == 0 || len(p.client) == 0 {
		return pair{}, fmt.Errorf("%q lacks a command", arg)
	}
	return p, nil
}
