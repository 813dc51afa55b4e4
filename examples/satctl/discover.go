package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
	"github.com/remotechargeport/remotechargeport/satellite/discovery"
)

// discoverCommand finds satellites.
type discoverCommand struct {
	Interface []string      `arg:"" help:"Network interfaces to query on, such as eth0."`
	Timeout   time.Duration `short:"t" default:"3s" help:"How long to listen."`
}

// discovered is the JSON of one satellite.
type discovered struct {
	Serial     string           `json:"serial"`
	ModuleID   string           `json:"module_id"`
	Version    string           `json:"version"`
	Dialects   []string         `json:"dialects"`
	Host       string           `json:"host"`
	Endpoints  []netip.AddrPort `json:"endpoints"`
	Interfaces []string         `json:"interfaces"`
	// Duplicate is true where another board announces the same serial number.
	Duplicate bool `json:"duplicate"`
}

// Run lists the satellites. It fails where there is none, or two have the same serial number.
func (c *discoverCommand) Run(ctx context.Context, s *invocation) error {
	interfaces, err := discovery.ParseInterfaces(strings.Join(c.Interface, ","))
	if err != nil {
		return usage("%v", err)
	}
	if err := present(interfaces); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	found, err := discovery.Discover(ctx, interfaces)
	if err != nil {
		return &failure{exitNotWorking, err.Error()}
	}
	slices.SortStableFunc(found, func(one, other discovery.Satellite) int { return verdict.Compare(one.Serial, other.Serial) })
	boards := make([]discovered, len(found))
	serials := map[string]int{}
	for i, board := range found {
		boards[i] = discovered{
			Serial: board.Serial, ModuleID: board.ModuleID, Version: board.Version, Dialects: board.Dialects,
			Host: board.Host, Endpoints: board.Endpoints(), Interfaces: board.Interfaces,
		}
		serials[board.Serial]++
	}
	failed := error(nil)
	for i := range boards {
		if boards[i].Duplicate = serials[boards[i].Serial] > 1; boards[i].Duplicate {
			failed = &failure{exitNotWorking, "two boards announce the serial number " + boards[i].Serial + ": give each its own"}
		}
	}
	if len(boards) == 0 {
		failed = &failure{exitNotWorking, fmt.Sprintf("no satellite found on %s: does its agent have announce_interfaces and a serial?", strings.Join(interfaces, ", "))}
	}
	if err := c.show(s, boards); err != nil {
		return err
	}
	return failed
}

// present fails where an interface does not exist on this board.
func present(names []string) error {
	all, err := net.Interfaces()
	if err != nil {
		return nil // the query itself says what is wrong
	}
	var there []string
	for _, one := range all {
		there = append(there, one.Name)
	}
	for _, name := range names {
		if !slices.Contains(there, name) {
			return usage("no such interface %s; there are %s", name, strings.Join(there, ", "))
		}
	}
	return nil
}

func (c *discoverCommand) show(s *invocation, boards []discovered) error {
	if s.JSON {
		writer := json.NewEncoder(s.out)
		for _, board := range boards {
			if err := writer.Encode(board); err != nil {
				return err
			}
		}
		return nil
	}
	if len(boards) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERIAL\tMODULE\tVERSION\tDIALECTS\tHEARD ON\tADDRESS")
	for _, board := range terminal.Printable(boards) {
		addresses := make([]string, len(board.Endpoints))
		for i, endpoint := range board.Endpoints {
			addresses[i] = endpoint.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", board.Serial, cmp.Or(board.ModuleID, "-"), cmp.Or(board.Version, "-"),
			cmp.Or(strings.Join(board.Dialects, ","), "-"), strings.Join(board.Interfaces, ","), strings.Join(addresses, " "))
	}
	return table.Flush()
}
