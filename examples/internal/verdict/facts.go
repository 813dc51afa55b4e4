package verdict

import (
	"fmt"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Fact is one line of a module's details.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// list collects facts. A fact without a value is left out.
type list []Fact

func (l *list) add(name, value string) {
	if value != "" {
		*l = append(*l, Fact{name, value})
	}
}

// Facts returns all that a status says beside its EVSE, one fact a line: for the details of the page, and for `satctl
// status --verbose`. Of the module on the other board it has the name, the state and the journal. A status of no module
// has none.
func Facts(status *control.Status, now time.Time) []Fact {
	facts := list{}
	if status.Module == "" && status.ModuleID == "" {
		return facts
	}
	ago := func(at time.Time) string {
		return at.Local().Format(time.DateTime) + ", " + Span(max(0, now.Sub(at))) + " ago"
	}
	facts.add("Module", strings.TrimSpace(status.Module+" "+status.ModuleID))
	facts.add("Version", status.Version)
	facts.add("State", strings.Trim(string(status.Health)+", "+status.State, ", "))
	facts.add("Cause", status.Cause)
	if !status.Started.IsZero() {
		facts.add("Started", ago(status.Started))
	}
	if status.Link != nil {
		facts.ofLink(ago, status.Link)
	}
	if status.Peer != nil {
		facts.ofPeer(status.Peer)
	}
	if status.Station != nil {
		facts.ofStation(status.Station)
	}
	if status.Everest != nil {
		facts.ofBroker(status.Everest)
	}
	return facts
}

func (l *list) ofLink(ago func(time.Time) string, link *control.Link) {
	agent := link.Role == "agent"
	l.add("Connected", map[bool]string{true: "yes", false: "no"}[link.Connected])
	l.add("Other board", link.PeerAddress)
	l.add("Listens at", link.ListenAddress)
	l.add("Discovery", link.Discovery)
	l.add("Network", link.Path)
	l.add("Dialect", link.Dialect)
	l.add("Security", link.Security)
	l.add("Serial of the other board", link.PeerSerial)
	l.add("Fingerprint of the other board", link.PeerFingerprint)
	l.add("Keys", link.KeyConflict)
	if link.CertificateExpires != nil {
		l.add("Certificate ends", link.CertificateExpires.Local().Format(time.DateTime))
	}
	if link.PeersRejected > 0 {
		l.add("Peers refused", Number(link.PeersRejected))
	}
	if latency := link.Latency; latency != nil && latency.Samples > 0 {
		l.add("Latency", fmt.Sprintf("last %s, median %s, 99th percentile %s of %d",
			Seconds(latency.Last), Seconds(latency.Median), Seconds(latency.P99), latency.Samples))
	}
	if link.Journal != nil {
		l.add("Journal", journal(link.Journal))
	}
	if agent {
		l.add("Events", Number(link.Collected)+" collected, "+Number(link.Delivered)+" delivered, "+Number(link.Dropped)+" not taken, "+Number(link.GivenUp)+" given up")
	} else {
		l.add("Events", fmt.Sprintf("%s variables, %s errors, %s not published, %d waiting; %s given up by the satellite",
			Number(link.Variables), Number(link.Errors), Number(link.Dropped), link.Backlog, Number(link.GivenUp)))
		l.add("Variables pushed to the satellite", Number(link.Pushed))
	}
	if link.LastVariable != nil {
		l.add("Last variable", ago(*link.LastVariable))
	}
	if link.ActiveErrors != nil {
		l.add("Active errors", Number(uint64(max(0, *link.ActiveErrors))))
	}
	l.add("Further interfaces", strings.Join(link.Tunnel, ", "))
	for _, difference := range link.TunnelDifferences {
		l.add("Interfaces differ", difference)
	}
	commands := Number(link.Commands)
	if link.CommandErrors > 0 {
		commands += ", " + Number(link.CommandErrors) + " failed"
	}
	l.add("Commands", commands)
	l.add("Resumed after a break", Count(link.Resumes, "time", "times"))
	if !agent {
		l.add("Taken out of service", Count(link.Isolations, "time", "times"))
	}
}

func journal(journal *control.Journal) string {
	text := Count(uint64(max(0, journal.Events)), "event", "events") + ", " + Size(journal.Bytes)
	if share := JournalShare(journal); share > 0 {
		text += fmt.Sprintf(" (%.0f %% full)", share*100)
	}
	return text
}

// JournalShare returns how full a journal is, by events or by bytes, whichever is fuller.
func JournalShare(journal *control.Journal) float64 {
	if journal == nil {
		return 0
	}
	share := 0.0
	if journal.MaxEvents > 0 {
		share = float64(journal.Events) / float64(journal.MaxEvents)
	}
	if journal.MaxBytes > 0 {
		share = max(share, float64(journal.Bytes)/float64(journal.MaxBytes))
	}
	return share
}

func (l *list) ofPeer(peer *control.Peer) {
	if peer.Status == nil {
		l.add("Other board's module", peer.Error)
		return
	}
	l.add("Other board's module", fmt.Sprintf("%s, %s %s", peer.Status.ModuleID, peer.Status.Module, peer.Status.Version))
	l.add("Other board's state", peer.Status.State)
	if link := peer.Status.Link; link != nil && link.Journal != nil {
		l.add("Other board's journal", journal(link.Journal))
	}
}

func (l *list) ofStation(station *control.Station) {
	for _, board := range station.Boards {
		state := "connected"
		if !board.Connected {
			state = "not connected"
		}
		if board.Version != "" {
			state += ", version " + board.Version
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
		l.add(fmt.Sprintf("Board %d, %s", board.Index, board.Name), state)
	}
	if station.Firmware != nil {
		l.add("Firmware update", fmt.Sprintf("request %d: %s", station.Firmware.RequestID, station.Firmware.Status))
	}
	for _, job := range station.Logs {
		l.add("Log upload", fmt.Sprintf("request %d: %s, %d of %d boards", job.RequestID, job.Step, job.Done, job.Boards))
	}
}

func (l *list) ofBroker(everest *control.Everest) {
	l.add("Broker", fmt.Sprintf("%s messages received, %s published, %s not readable", Number(everest.Received), Number(everest.Published), Number(everest.Dropped)))
	l.add("Calls", fmt.Sprintf("%s in, %s out, %d waiting", Number(everest.Commands), Number(everest.Calls), everest.CallsWaiting))
	for _, queue := range everest.Queues {
		if queue.Depth > 0 {
			l.add("Queue "+queue.Name, fmt.Sprintf("%d waiting, the first for %s", queue.Depth, Seconds(queue.Oldest)))
		}
	}
}
