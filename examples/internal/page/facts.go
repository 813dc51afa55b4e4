package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// peer returns a line about the peer of a module and the link to it.
func peer(status control.Status) string {
	if status.Station != nil {
		connected := 0
		for _, board := range status.Station.Boards {
			if board.Connected {
				connected++
			}
		}
		return fmt.Sprintf("%d of %s connected", connected, count(uint64(len(status.Station.Boards)), "board", "boards"))
	}
	link := status.Link
	if link == nil {
		return ""
	}
	var parts []string
	if link.PeerAddress != "" {
		parts = append(parts, link.PeerAddress)
	}
	if link.Dialect != "" {
		parts = append(parts, link.Dialect)
	}
	switch link.Security {
	case "plain":
		parts = append(parts, "not encrypted")
	case "mutual-tls":
		parts = append(parts, "encrypted")
	}
	return strings.Join(parts, " · ")
}

// facts returns the lines of a module's details.
func facts(status control.Status, now time.Time) []Fact {
	facts := []Fact{}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	ago := func(at time.Time) string { return verdict.Span(max(0, now.Sub(at))) + " ago" }
	if status.Module == "" {
		return facts
	}
	add("State", status.State)
	add("Version", status.Version)
	if !status.Started.IsZero() {
		add("Started", ago(status.Started))
	}
	if link := status.Link; link != nil {
		linkFacts(add, ago, link)
		if link.CertificateExpires != nil {
			add("Certificate ends", link.CertificateExpires.Format(time.DateOnly))
		}
	}
	if status.Peer != nil {
		peerFacts(add, status.Peer)
	}
	if status.Station != nil {
		stationFacts(add, status.Station)
	}
	if status.Everest != nil {
		add("Messages from EVerest", number(status.Everest.Received))
		add("Calls that wait", number(uint64(max(0, status.Everest.CallsWaiting))))
	}
	return facts
}

func linkFacts(add func(name, value string), ago func(time.Time) string, link *control.Link) {
	add("Listens on", link.ListenAddress)
	add("Other board", link.PeerAddress)
	add("Serial of the other board", link.PeerSerial)
	add("Fingerprint of the other board", link.PeerFingerprint)
	add("Security", link.Security)
	add("Dialect", link.Dialect)
	if link.Latency != nil && link.Latency.Samples > 0 {
		add("Latency, median and worst of 100", seconds(link.Latency.Median)+" and "+seconds(link.Latency.P99))
	}
	if link.Journal != nil {
		add("Journal", journalText(link.Journal))
	}
	if link.Role == "agent" {
		add("Events collected and delivered", number(link.Collected)+" and "+number(link.Delivered))
	} else {
		add("Variables and errors published", number(link.Variables)+" and "+number(link.Errors))
		add("Variables pushed to the satellite", number(link.Pushed))
		add("Events that could not be published", number(link.Dropped))
	}
	if link.LastVariable != nil {
		add("Last variable", ago(*link.LastVariable))
	}
	add("Commands, and those that failed", number(link.Commands)+" and "+number(link.CommandErrors))
	add("Events given up", number(link.GivenUp))
	add("Link went on after a break", number(link.Resumes)+" times")
	if link.Role != "agent" {
		add("Port taken out of service", number(link.Isolations)+" times")
	}
	add("Further interfaces", strings.Join(link.Tunnel, ", "))
	if link.PeersRejected > 0 {
		add("Peers refused", number(link.PeersRejected))
	}
}

func journalText(journal *control.Journal) string {
	text := count(uint64(max(0, journal.Events)), "event", "events") + ", " + size(journal.Bytes)
	if share := journalShare(journal); share > 0 {
		text += fmt.Sprintf(" (%.0f %% full)", share*100)
	}
	return text
}

func peerFacts(add func(name, value string), peer *control.Peer) {
	if peer.Status == nil {
		add("Satellite's module", peer.Error)
		return
	}
	add("Satellite's module", fmt.Sprintf("%s, %s %s", peer.Status.ModuleID, peer.Status.Module, peer.Status.Version))
	add("Satellite's state", peer.Status.State)
	if link := peer.Status.Link; link != nil && link.Journal != nil {
		add("Satellite's journal", journalText(link.Journal))
	}
}

func stationFacts(add func(name, value string), station *control.Station) {
	for _, board := range station.Boards {
		state := "connected"
		if !board.Connected {
			state = "not connected"
		}
		if board.FirmwareStatus != "" {
			state += ", firmware " + board.FirmwareStatus
		}
		if board.Mixed {
			state += fmt.Sprintf(", has firmware of request %d that the station does not have", board.MixedRequest)
		}
		if board.LogStatus != "" {
			state += ", logs " + board.LogStatus
		}
		add(fmt.Sprintf("Board %d, %s", board.Index, board.Name), state)
	}
	if station.Firmware != nil {
		add("Firmware update", fmt.Sprintf("request %d: %s", station.Firmware.RequestID, station.Firmware.Status))
	}
	for _, job := range station.Logs {
		add("Log upload", fmt.Sprintf("request %d: %s, %d of %d boards", job.RequestID, job.Step, job.Done, job.Boards))
	}
}
