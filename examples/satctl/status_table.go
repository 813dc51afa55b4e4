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

// details writes the whole status, with a line for each value.
func details(out io.Writer, status *control.Status, indent string) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name string, value any) {
		if text := fmt.Sprint(value); text != "" && text != "<nil>" {
			fmt.Fprintf(table, "%s  %s\t%s\n", indent, name, text)
		}
	}
	line("module", status.Module+" "+status.ModuleID)
	line("version", status.Version)
	line("state", string(status.Health)+", "+status.State)
	line("cause", status.Cause)
	line("started", status.Started.Local().Format(time.DateTime)+", "+uptime(status.UptimeSeconds)+" ago")
	if link := status.Link; link != nil {
		linkDetails(line, link)
	}
	if e := status.Everest; e != nil {
		line("broker", fmt.Sprintf("%d received, %d published, %d dropped; commands: %d in, %d out, %d waiting",
			e.Received, e.Published, e.Dropped, e.Commands, e.Calls, e.CallsWaiting))
		for _, q := range e.Queues {
			if q.Depth > 0 {
				line("queue "+q.Name, fmt.Sprintf("%d waiting, the first for %s", q.Depth, seconds(q.Oldest)))
			}
		}
	}
	if status.Peer != nil && status.Peer.Error != "" {
		line("other board", status.Peer.Error)
	}
	table.Flush()
	if status.Peer != nil && status.Peer.Status != nil {
		fmt.Fprintf(out, "%s  other board\n", indent)
		details(out, status.Peer.Status, indent+"  ")
	}
}

func linkDetails(line func(string, any), link *control.Link) {
	line("peer", link.PeerAddress)
	line("listens at", link.ListenAddress)
	line("connected", link.Connected)
	line("discovery", link.Discovery)
	line("network", link.Path)
	line("dialect", link.Dialect)
	line("security", link.Security)
	line("peer's serial", link.PeerSerial)
	line("peer's fingerprint", link.PeerFingerprint)
	if link.CertificateExpires != nil {
		line("certificate ends", link.CertificateExpires.Local().Format(time.DateTime))
	}
	if link.PeersRejected > 0 {
		line("peers rejected", link.PeersRejected)
	}
	if l := link.Latency; l != nil {
		line("latency", fmt.Sprintf("last %s, p50 %s, p99 %s of %d", seconds(l.Last), seconds(l.Median), seconds(l.P99), l.Samples))
	}
	if j := link.Journal; j != nil {
		line("journal", fmt.Sprintf("%d of %d events, %d of %d bytes", j.Events, j.MaxEvents, j.Bytes, j.MaxBytes))
		line("events", fmt.Sprintf("%d collected, %d delivered, %d given up", link.Collected, link.Delivered, link.GivenUp))
	} else {
		line("events", fmt.Sprintf("%d variables, %d errors, %d dropped, %d waiting; %d given up by the satellite",
			link.Variables, link.Errors, link.Dropped, link.Backlog, link.GivenUp))
		line("pushed", link.Pushed)
	}
	if link.ActiveErrors != nil {
		line("active errors", *link.ActiveErrors)
	}
	line("tunnel", strings.Join(link.Tunnel, ", "))
	for _, difference := range link.TunnelDifferences {
		line("tunnel differs", difference)
	}
	line("commands", amount(link.Commands, link.CommandErrors, "failed"))
	line("resumes", link.Resumes)
	line("isolations", link.Isolations)
	if link.LastVariable != nil {
		line("last variable", link.LastVariable.Local().Format("2006-01-02 15:04:05.000"))
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
