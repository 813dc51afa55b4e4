package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// overview writes a table with a row for each module, then the boards.
func overview(out io.Writer, modules []*module) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MODULE\tHEALTH\tSTATE\tPEER\tDIALECT\tSECURITY\tLATENCY\tWAITING\tEVENTS\tCOMMANDS\tRESUMES\tUP")
	for _, m := range modules {
		if m.err != nil {
			fmt.Fprintf(table, "%s\tunreachable\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n", m.name)
			continue
		}
		row(table, m.name, m.status)
		if m.status.Peer != nil && m.status.Peer.Status != nil {
			row(table, "  "+m.status.Peer.Status.ModuleID, m.status.Peer.Status)
		}
	}
	table.Flush()
	for _, m := range modules {
		if m.err == nil && m.status.Station != nil {
			fmt.Fprintln(out)
			boards(out, m.status.Station)
		}
	}
}

func row(table io.Writer, name string, status *control.Status) {
	peer, dialect, security, latency, waiting, events, commands, resumes := "-", "-", "-", "-", "-", "-", "-", "-"
	if link := status.Link; link != nil {
		peer, dialect, security = or(link.PeerAddress), or(link.Dialect), or(link.Security)
		if link.Latency != nil {
			latency = seconds(link.Latency.Median)
		}
		count := link.Variables + link.Errors
		waiting = strconv.Itoa(link.Backlog)
		if link.Journal != nil {
			waiting, count = strconv.Itoa(link.Journal.Events), link.Collected
		}
		events, commands = amount(count, link.Dropped+link.GivenUp, "lost"), amount(link.Commands, link.CommandErrors, "failed")
		resumes = strconv.FormatUint(link.Resumes, 10)
	}
	if status.Station != nil {
		peer = strconv.Itoa(len(status.Station.Boards)) + " boards"
	}
	fmt.Fprintln(table, strings.Join([]string{
		name, string(status.Health), status.State, peer, dialect, security, latency, waiting, events, commands, resumes,
		uptime(status.UptimeSeconds),
	}, "\t"))
}

func boards(out io.Writer, station *control.Station) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BOARD\tSYSTEM\tLINK\tFIRMWARE\tLOGS")
	for _, board := range station.Boards {
		link := "connected"
		if !board.Connected {
			link = "lost"
		}
		firmware := or(board.FirmwareStatus)
		if board.Mixed {
			firmware += fmt.Sprintf(" (request %d, which the station does not have)", board.MixedRequest)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", board.Index, board.SystemID, link, firmware, or(board.LogStatus))
	}
	table.Flush()
	if job := station.Firmware; job != nil {
		fmt.Fprintf(out, "firmware update %d: %s\n", job.RequestID, cmp.Or(job.Status, "asking the boards"))
	}
	for _, job := range station.Logs {
		fmt.Fprintf(out, "log upload %d: %s, %d of %d boards\n", job.RequestID, job.Step, job.Done, job.Boards)
	}
}

// details writes the whole status, with a line for each fact, then that of the other board.
func details(out io.Writer, status *control.Status, indent string, now time.Time) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, fact := range verdict.Facts(status, now) {
		fmt.Fprintf(table, "%s  %s\t%s\n", indent, fact.Name, fact.Value)
	}
	table.Flush()
	if status.Peer != nil && status.Peer.Status != nil {
		fmt.Fprintf(out, "%s  Other board\n", indent)
		details(out, status.Peer.Status, indent+"  ", now)
	}
}

func or(text string) string { return cmp.Or(text, "-") }

// amount returns a count and how many of it are bad.
func amount(count, bad uint64, what string) string {
	if bad == 0 {
		return strconv.FormatUint(count, 10)
	}
	return fmt.Sprintf("%d (%d %s)", count, bad, what)
}

// seconds returns a short time for people.
func seconds(value float64) string {
	switch {
	case value < 0.0995:
		return strconv.FormatFloat(value*1e3, 'f', 2, 64) + "ms"
	case value < 1:
		return strconv.FormatFloat(value*1e3, 'f', 0, 64) + "ms"
	}
	return strconv.FormatFloat(value, 'f', 2, 64) + "s"
}

// uptime returns a long time for people.
func uptime(value float64) string {
	whole := time.Duration(value) * time.Second
	if days := whole / (24 * time.Hour); days > 0 {
		return fmt.Sprintf("%dd%02dh", days, (whole%(24*time.Hour))/time.Hour)
	}
	return whole.String()
}
