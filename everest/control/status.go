package control

import (
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Health says in one word how a module is.
type Health string

const (
	// Healthy: the module does its work.
	Healthy Health = "ok"
	// Starting: it has not begun to, for instance because the other board is not there yet.
	Starting Health = "starting"
	// Degraded: it had begun to and cannot at the moment; Problem says why.
	Degraded Health = "degraded"
)

// Status is a module's answer to GET /status. Durations are seconds, times RFC 3339. What does not apply to a module, or is
// not known, is left out.
type Status struct {
	// Module is the module's name, "SatelliteAgent", "SatelliteController" or "SystemAggregator", and ModuleID its id in
	// the manager's configuration.
	Module   string `json:"module"`
	ModuleID string `json:"module_id"`
	// Version is that of the program, see Version.
	Version string `json:"version"`
	// State is where the module stands, in its own words: for satellite modules handshake.State's text.
	State string `json:"state"`
	// Health is what State means, and Problem what is wrong and what to do about it when Health is not "ok".
	Health  Health `json:"health"`
	Problem string `json:"problem,omitempty"`
	// Started is when the module started, UptimeSeconds how long ago, and Taken when this snapshot was made.
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_s"`
	Taken         time.Time `json:"taken"`
	// Link is a satellite module's way to the other board.
	Link *Link `json:"link,omitempty"`
	// Station is what the aggregator knows of the boards.
	Station *Station `json:"station,omitempty"`
	// Everest is the module's traffic with its broker, nil before it is connected.
	Everest *Everest `json:"everest,omitempty"`
	// Peer is the other board's module, as a controller gets it from its agent.
	Peer *Peer `json:"peer,omitempty"`
}

// Peer is the status of the module on the other board.
type Peer struct {
	// Status is the peer's own, without a Peer of its own; nil when it could not be had.
	Status *Status `json:"status,omitempty"`
	// Error says why there is none: no link, or a peer of the legacy dialect, which has no such function.
	Error string `json:"error,omitempty"`
}

// Link is a satellite module's way to the other board. Counters count from the module's start.
type Link struct {
	// Role is "agent" on the satellite board and "controller" on the main board.
	Role string `json:"role"`
	// Connected is true while the link can carry commands.
	Connected bool `json:"connected"`
	// Dialect is "legacy" or "v2", empty before both have agreed.
	Dialect string `json:"dialect,omitempty"`
	// PeerAddress is the satellite's configured address, for an agent that of the last controller.
	PeerAddress string `json:"peer_address,omitempty"`
	// Discovery tells of a satellite that is configured by its serial number "found", "not found" or "ambiguous".
	Discovery string `json:"discovery,omitempty"`
	// ListenAddress is where an agent waits.
	ListenAddress string `json:"listen_address,omitempty"`
	// Security is "plain" or "mutual-tls"; PeerFingerprint and PeerSerial are those of the peer's certificate.
	Security        string `json:"security,omitempty"`
	PeerFingerprint string `json:"peer_fingerprint,omitempty"`
	PeerSerial      string `json:"peer_serial,omitempty"`
	// CertificateExpires is when the own certificate ends, nil on a plain link.
	CertificateExpires *time.Time `json:"certificate_expires,omitempty"`
	// PeersRejected counts the connections that were refused for what the peer could not prove.
	PeersRejected uint64 `json:"peers_rejected"`
	// ActiveErrors is the number of the satellite's errors that stand, nil where it is not known.
	ActiveErrors *int `json:"active_errors,omitempty"`
	// Latency is the time of a round trip between the boards, nil while it is not known. Controllers measure it.
	Latency *Latency `json:"latency,omitempty"`
	// Journal holds an agent's events until the controller has them.
	Journal *Journal `json:"journal,omitempty"`
	// Backlog is how many of the satellite's events a controller has not yet published.
	Backlog int `json:"backlog"`
	// Resumes counts how often a lost v2 link went on, Isolations how often the port was taken out of service.
	Resumes    uint64 `json:"resumes"`
	Isolations uint64 `json:"isolations"`
	// GivenUp is the number of events that the agent's journal had no room for.
	GivenUp uint64 `json:"given_up"`
	// Variables and Errors count what of the satellite a controller has published, Dropped what it could not.
	Variables uint64 `json:"variables"`
	Errors    uint64 `json:"errors"`
	Dropped   uint64 `json:"dropped"`
	// Collected counts the events of an agent's board, Delivered those that were handed over.
	Collected uint64 `json:"collected"`
	Delivered uint64 `json:"delivered"`
	// Commands counts the commands towards the satellite, CommandErrors those of them that failed.
	Commands      uint64 `json:"commands"`
	CommandErrors uint64 `json:"command_errors"`
	// Pushed counts the main board's variables that reached the satellite.
	Pushed uint64 `json:"pushed"`
	// Tunnel are the ids of the interfaces that the module's configuration key tunnel adds, and TunnelDifferences what the
	// other board tunnels otherwise, in words.
	Tunnel            []string `json:"tunnel,omitempty"`
	TunnelDifferences []string `json:"tunnel_differences,omitempty"`
	// LastVariable is when a controller has published a variable for the last time.
	LastVariable *time.Time `json:"last_variable,omitempty"`
}

// Latency sums up the last round trips.
type Latency struct {
	// Last, Median and P99 in seconds, of the last Samples round trips.
	Last    float64 `json:"last_s"`
	Median  float64 `json:"p50_s"`
	P99     float64 `json:"p99_s"`
	Samples int     `json:"samples"`
}

// Journal is what waits on the satellite for the controller.
type Journal struct {
	Events int `json:"events"`
	Bytes  int `json:"bytes"`
	// MaxEvents and MaxBytes are what it has room for, 0 where it is not known.
	MaxEvents int `json:"max_events,omitempty"`
	MaxBytes  int `json:"max_bytes,omitempty"`
}

// Everest is a module's traffic with its broker since its start; see everest.Stats.
type Everest struct {
	Received     uint64  `json:"received"`
	Unwanted     uint64  `json:"unwanted"`
	Dropped      uint64  `json:"dropped"`
	Published    uint64  `json:"published"`
	Commands     uint64  `json:"commands"`
	Calls        uint64  `json:"calls"`
	CallsWaiting int     `json:"calls_waiting"`
	Queues       []Queue `json:"queues"`
}

// Queue is one line of messages in front of a handler; queues that never held a message are left out.
type Queue struct {
	Name string `json:"name"`
	// Depth is the number of waiting messages, Bytes their size, Oldest the age of the first of them in seconds.
	Depth  int     `json:"depth"`
	Bytes  int     `json:"bytes"`
	Oldest float64 `json:"oldest_s"`
	// Running is for how many seconds the handler has been at work on a message, 0 when it is not.
	Running float64 `json:"running_s"`
	Handled uint64  `json:"handled"`
}

// EverestOf is the part of a Status that a module's Stats fill.
func EverestOf(stats everest.Stats) *Everest {
	e := &Everest{
		Received: stats.Received, Unwanted: stats.Unwanted, Dropped: stats.Dropped, Published: stats.Published,
		Commands: stats.Commands, Calls: stats.Calls, CallsWaiting: stats.CallsWaiting, Queues: []Queue{},
	}
	for _, q := range stats.Queues {
		if q.Handled == 0 && q.Depth == 0 && q.Running == 0 {
			continue
		}
		e.Queues = append(e.Queues, Queue{
			Name: q.Name, Depth: q.Depth, Bytes: q.Bytes,
			Oldest: q.Oldest.Seconds(), Running: q.Running.Seconds(), Handled: q.Handled,
		})
	}
	return e
}
