package control

import (
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Health is the state of a module in one word.
type Health string

const (
	// Healthy means that the module works.
	Healthy Health = "ok"
	// Starting means that the module has not yet worked, for example because the other board has not started.
	Starting Health = "starting"
	// Degraded means that the module worked before, but cannot work at the moment. Status.Problem has the reason.
	Degraded Health = "degraded"
)

// Status is the JSON of GET /status. Durations are seconds, times RFC 3339. A field that does not apply to a module or
// is not known is omitted.
type Status struct {
	// Module is "SatelliteAgent", "SatelliteController" or "SystemAggregator". ModuleID is the id in the manager's
	// configuration.
	Module   string `json:"module"`
	ModuleID string `json:"module_id"`
	// Version is the result of everest.Version.
	Version string `json:"version"`
	// State is the name of the module's state: a handshake.State for a satellite module, "Starting" or "Ready" for an
	// aggregator.
	State string `json:"state"`
	// Health is how well the module works in this State. If Health is not "ok", Problem has the reason and the remedy.
	Health  Health `json:"health"`
	Problem string `json:"problem,omitempty"`
	// Cause is the error behind Problem as the program reports it, for those who look deeper.
	Cause string `json:"cause,omitempty"`
	// Started is when the module started. Taken is when this snapshot was made. UptimeSeconds is the time from Started
	// to Taken.
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_s"`
	Taken         time.Time `json:"taken"`
	// Link is the link of a satellite module to the other board.
	Link *Link `json:"link,omitempty"`
	// EVSE is the EVSE behind a controller, or that of an agent's own board.
	EVSE *EVSE `json:"evse,omitempty"`
	// Station is what an aggregator knows of its boards.
	Station *Station `json:"station,omitempty"`
	// Everest is the module's traffic with its broker, nil before the module is connected.
	Everest *Everest `json:"everest,omitempty"`
	// Peer is the agent's status, which a controller requests over the link. Other modules omit it.
	Peer *Peer `json:"peer,omitempty"`
}

// Peer is the status of the module on the other board.
type Peer struct {
	// Status is the status that the peer reports of itself. Its own fields Peer and EVSE are nil. Status is nil if Error is set.
	Status *Status `json:"status,omitempty"`
	// Error is why Status is nil, for example because there is no link. In the legacy dialect a controller cannot
	// request a status.
	Error string `json:"error,omitempty"`
}

// Link is the link of a satellite module to the other board. The counters are 0 when the module starts, and continue
// when the link is lost and made again.
type Link struct {
	// Role is "agent" on the satellite board and "controller" on the main board.
	Role string `json:"role"`
	// Connected is true while the link can carry commands.
	Connected bool `json:"connected"`
	// Dialect is "legacy" or "v2". It is empty until both boards have negotiated it.
	Dialect string `json:"dialect,omitempty"`
	// PeerAddress is the configured address of the satellite. On an agent it is the address of the last controller.
	PeerAddress string `json:"peer_address,omitempty"`
	// Discovery is "found", "not found" or "ambiguous", for a satellite that is configured by its serial number.
	Discovery string `json:"discovery,omitempty"`
	// Path is what the module suspects of the network between the boards, for example that it swallows long packets. It is
	// empty where nothing is suspected.
	Path string `json:"path,omitempty"`
	// ListenAddress is where an agent accepts connections.
	ListenAddress string `json:"listen_address,omitempty"`
	// Security is "plain" or "mutual-tls". PeerFingerprint and PeerSerial are the key fingerprint and the serial number
	// in the peer's certificate.
	Security        string `json:"security,omitempty"`
	PeerFingerprint string `json:"peer_fingerprint,omitempty"`
	PeerSerial      string `json:"peer_serial,omitempty"`
	// KeyConflict says in sentences which serial numbers several trusted or used keys have, and what to do. It is empty
	// where none has.
	KeyConflict string `json:"key_conflict,omitempty"`
	// CertificateExpires is when the module's own certificate expires, nil on a plain link.
	CertificateExpires *time.Time `json:"certificate_expires,omitempty"`
	// PeersRejected counts the connections that were rejected because the peer failed authentication.
	PeersRejected uint64 `json:"peers_rejected"`
	// ActiveErrors is how many errors of the satellite are active, nil where that is not known.
	ActiveErrors *int `json:"active_errors,omitempty"`
	// Latency summarizes the round trips between the boards, nil while there is none. Controllers measure it.
	Latency *Latency `json:"latency,omitempty"`
	// Journal is how full an agent's journal is. The journal keeps events until the controller has acknowledged them.
	Journal *Journal `json:"journal,omitempty"`
	// Backlog is how many of the satellite's events a controller has not yet published.
	Backlog int `json:"backlog"`
	// Resumes is how often a lost v2 link was resumed. Isolations is how often the EVSE was taken out of service.
	Resumes    uint64 `json:"resumes"`
	Isolations uint64 `json:"isolations"`
	// GivenUp counts the events that were lost because the agent's journal was full.
	GivenUp uint64 `json:"given_up"`
	// Variables and Errors count the satellite's variables and errors that a controller has published on the main
	// board. Dropped counts the variables and errors that the controller could not publish, or that an agent did not
	// take, because the main board could not read them.
	Variables uint64 `json:"variables"`
	Errors    uint64 `json:"errors"`
	Dropped   uint64 `json:"dropped"`
	// Collected counts the events that an agent received on its own board. Delivered counts the events that it sent to
	// the controller.
	Collected uint64 `json:"collected"`
	Delivered uint64 `json:"delivered"`
	// Commands counts the commands to the satellite. CommandErrors counts the commands that failed.
	Commands      uint64 `json:"commands"`
	CommandErrors uint64 `json:"command_errors"`
	// Pushed counts the variables of the main board that the satellite has received.
	Pushed uint64 `json:"pushed"`
	// Tunnel lists the implementation ids that the configuration key tunnel adds to the route table. TunnelDifferences
	// has one sentence for each difference between the tunnels of the two boards.
	Tunnel            []string `json:"tunnel,omitempty"`
	TunnelDifferences []string `json:"tunnel_differences,omitempty"`
	// LastVariable is when a controller last published a variable.
	LastVariable *time.Time `json:"last_variable,omitempty"`
}

// Latency summarizes the last round trips.
type Latency struct {
	// Last is the newest round trip. Median and P99 are the median and the 99th percentile of the last Samples round
	// trips. All three are in seconds.
	Last    float64 `json:"last_s"`
	Median  float64 `json:"p50_s"`
	P99     float64 `json:"p99_s"`
	Samples int     `json:"samples"`
}

// Journal is the size of an agent's journal.
type Journal struct {
	Events int `json:"events"`
	Bytes  int `json:"bytes"`
	// MaxEvents and MaxBytes are its bounds, 0 where they are not known.
	MaxEvents int `json:"max_events,omitempty"`
	MaxBytes  int `json:"max_bytes,omitempty"`
}

// Station is what an aggregator knows of its boards.
type Station struct {
	// Boards lists the main board first. The order is that of the connections of the aggregator's requirement "system"
	// in the manager's configuration.
	Boards []Board `json:"boards"`
	// Firmware is the running update, nil where there is none.
	Firmware *FirmwareJob `json:"firmware,omitempty"`
	// Logs are the running uploads.
	Logs []LogJob `json:"logs"`
}

// Board is one board of a station.
type Board struct {
	Index int `json:"index"`
	// Name is the folder of the board in an archive of logs.
	Name string `json:"name"`
	// SystemID and SatelliteID are the ids of the modules that represent the board. The main board has no SatelliteID.
	SystemID    string `json:"system_id"`
	SatelliteID string `json:"satellite_id,omitempty"`
	// Connected reports whether there is a link to the board. It is true for the main board.
	Connected bool `json:"connected"`
	// Since is when Connected became what it is, nil where that is not known.
	Since *time.Time `json:"since,omitempty"`
	// EVSE is the number of the board's EVSE in the station, 0 where the board's module has no mapping. Serial is the
	// board's serial number, Version that of the agent on it, or of the aggregator. Both are empty where they are not known.
	EVSE    int    `json:"evse,omitempty"`
	Serial  string `json:"serial,omitempty"`
	Version string `json:"version,omitempty"`
	// FirmwareStatus and LogStatus are the last reports of the board, in OCPP's spelling. They are empty before the
	// board's first report.
	FirmwareStatus string `json:"firmware_status,omitempty"`
	LogStatus      string `json:"log_status,omitempty"`
	// FirmwareRefusal is how the board refused the newest firmware update: its answer, or "no answer". It is empty where
	// the board took the update.
	FirmwareRefusal string `json:"firmware_refusal,omitempty"`
	// Flashing is true while the board installs firmware. It is not reset meanwhile.
	Flashing bool `json:"flashing,omitempty"`
	// Mixed is true while the board has installed firmware that the station does not have, by the request MixedRequest:
	// another board had refused that request or failed.
	Mixed        bool  `json:"mixed,omitempty"`
	MixedRequest int64 `json:"mixed_request_id,omitempty"`
}

// FirmwareJob is a firmware update of the whole station.
type FirmwareJob struct {
	RequestID int64 `json:"request_id"`
	// Status is the last status that was reported to the backend.
	Status string `json:"status,omitempty"`
}

// LogJob is an upload of all boards' logs.
type LogJob struct {
	RequestID int64 `json:"request_id"`
	// Type is the type of the log, empty for the diagnostics of OCPP 1.6.
	Type string `json:"type,omitempty"`
	// Step is queued, asking, collecting, packing, uploading or pausing.
	Step string `json:"step"`
	// Boards is how many boards send a file. Done is how many boards have sent their file or failed.
	Boards int `json:"boards"`
	Done   int `json:"done"`
}

// Everest is a module's traffic with its broker since the module's start; see everest.Stats.
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

// Queue is one queue of messages for a handler. Queues that never held a message are omitted.
type Queue struct {
	Name string `json:"name"`
	// Depth is how many messages wait, and Bytes is their total size. Oldest is how many seconds the oldest waiting
	// message has waited.
	Depth  int     `json:"depth"`
	Bytes  int     `json:"bytes"`
	Oldest float64 `json:"oldest_s"`
	// Running is how many seconds the handler has already spent on its present message. It is 0 while the handler is
	// idle.
	Running float64 `json:"running_s"`
	Handled uint64  `json:"handled"`
}

// EverestOf returns stats as a part of a Status.
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

// Pong is the JSON of POST /ping.
type Pong struct {
	// Seconds is the duration of the round trip.
	Seconds float64 `json:"round_trip_s"`
	// Size is how many bytes the round trip carried in each direction.
	Size int `json:"size,omitempty"`
	// Peer is the address of the other board.
	Peer string `json:"peer"`
	// Dialect is the dialect of the link.
	Dialect string `json:"dialect"`
	// Function is the function on the wire whose round trip was measured. Legacy has no ping function, so a legacy link
	// measures its next poll.
	Function string `json:"function"`
}

// ResetBoard is the JSON of POST /reset.
type ResetBoard struct {
	// Board is the name of the board that is reset.
	Board string `json:"board"`
}
