package page

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// Metric is one metric family with a value for each module that has one.
type Metric struct {
	Name string
	Help string
	// Counter is true for a value that only grows until the module restarts.
	Counter bool
	value   func(b *Board) (float64, bool)
}

// Metrics returns the metric families of modules, labelled module and module_id. A module that does not respond has
// only up and level, because its last values are out of date.
func Metrics() []Metric { return metrics }

var metrics = []Metric{
	{"remotechargeport_module_up", "1 while the module answers on its status socket, otherwise 0.", false,
		func(b *Board) (float64, bool) { return truth(b.Answers), true }},
	{"remotechargeport_module_level", "How much attention the module needs: 0 working, 1 notice, 2 trouble, 3 down.", false,
		func(b *Board) (float64, bool) { return float64(b.Level), true }},
	{"remotechargeport_module_healthy", "1 while the module does its work, 0 while it starts or is degraded.", false,
		ofStatus(func(s *control.Status) (float64, bool) { return truth(s.Health == control.Healthy), true })},
	{"remotechargeport_module_start_time_seconds", "When the module started, in seconds since 1970.", false,
		ofStatus(func(s *control.Status) (float64, bool) { return unix(s.Started), !s.Started.IsZero() })},

	{"remotechargeport_link_connected", "1 while the link to the other board can carry commands.", false,
		ofLink(func(l *control.Link) (float64, bool) { return truth(l.Connected), true })},
	{"remotechargeport_link_encrypted", "1 where the link is configured to be encrypted and authenticated, 0 where it is plain.", false,
		ofLink(func(l *control.Link) (float64, bool) { return truth(l.Security == "mutual-tls"), l.Security != "" })},
	{"remotechargeport_link_latency_seconds", "The last round trip between the boards.", false,
		ofLatency(func(l *control.Latency) float64 { return l.Last })},
	{"remotechargeport_link_latency_median_seconds", "The median of the last round trips between the boards.", false,
		ofLatency(func(l *control.Latency) float64 { return l.Median })},
	{"remotechargeport_link_latency_worst_seconds", "The 99th percentile of the last round trips between the boards.", false,
		ofLatency(func(l *control.Latency) float64 { return l.P99 })},
	{"remotechargeport_link_resumes_total", "How often a lost link went on.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.Resumes), true })},
	{"remotechargeport_link_isolations_total", "How often the port was taken out of service because its satellite was lost.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.Isolations), true })},
	{"remotechargeport_link_peers_rejected_total", "Connections that were refused for what the peer could not prove.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.PeersRejected), true })},
	{"remotechargeport_link_certificate_expiry_timestamp_seconds", "When the board's own certificate ends, in seconds since 1970.", false,
		ofLink(func(l *control.Link) (float64, bool) {
			if l.CertificateExpires == nil {
				return 0, false
			}
			return unix(*l.CertificateExpires), true
		})},

	{"remotechargeport_link_peer_certificate_expiry_timestamp_seconds", "When the satellite board's certificate ends, in seconds since 1970, as the controller hears from it.", false,
		ofStatus(func(s *control.Status) (float64, bool) {
			peer := peerLink(s)
			if peer == nil || peer.CertificateExpires == nil {
				return 0, false
			}
			return unix(*peer.CertificateExpires), true
		})},

	{"remotechargeport_link_long_packets_swallowed", "1 while the network between the boards seems to swallow long packets.", false,
		ofLink(func(l *control.Link) (float64, bool) { return truth(l.Path != ""), true })},
	{"remotechargeport_link_versions_mixed", "1 while the boards run different releases, as the controller hears from the other one.", false,
		ofStatus(func(s *control.Status) (float64, bool) {
			if s.Peer == nil || s.Peer.Status == nil {
				return 0, false
			}
			return truth(s.Peer.Status.Version != s.Version), true
		})},

	{"remotechargeport_link_variables_total", "Variables of the satellite that the controller published on the main board.", true,
		ofController(func(l *control.Link) float64 { return float64(l.Variables) })},
	{"remotechargeport_link_errors_total", "Errors of the satellite that the controller raised or cleared on the main board.", true,
		ofController(func(l *control.Link) float64 { return float64(l.Errors) })},
	{"remotechargeport_link_errors_active", "Errors of the satellite that stand.", false,
		ofLink(func(l *control.Link) (float64, bool) {
			if l.ActiveErrors == nil {
				return 0, false
			}
			return float64(*l.ActiveErrors), true
		})},
	{"remotechargeport_link_events_dropped_total", "Events of the satellite that the controller could not publish.", true,
		ofController(func(l *control.Link) float64 { return float64(l.Dropped) })},
	{"remotechargeport_link_backlog_events", "Events that came from the satellite and are not published yet.", false,
		ofController(func(l *control.Link) float64 { return float64(l.Backlog) })},
	{"remotechargeport_link_variables_pushed_total", "Variables of the main board that reached the satellite.", true,
		ofController(func(l *control.Link) float64 { return float64(l.Pushed) })},
	{"remotechargeport_link_last_variable_timestamp_seconds", "When the controller published a variable for the last time, in seconds since 1970.", false,
		ofLink(func(l *control.Link) (float64, bool) {
			if l.LastVariable == nil {
				return 0, false
			}
			return unix(*l.LastVariable), true
		})},
	{"remotechargeport_link_commands_total", "Commands towards the satellite.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.Commands), true })},
	{"remotechargeport_link_command_errors_total", "Commands towards the satellite that failed.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.CommandErrors), true })},
	{"remotechargeport_link_events_given_up_total", "Events that the agent's journal had no room for.", true,
		ofLink(func(l *control.Link) (float64, bool) { return float64(l.GivenUp), true })},

	{"remotechargeport_journal_events_collected_total", "Events that the agent collected on its board.", true,
		ofAgent(func(l *control.Link) float64 { return float64(l.Collected) })},
	{"remotechargeport_journal_events_delivered_total", "Events that the agent handed over to the controller.", true,
		ofAgent(func(l *control.Link) float64 { return float64(l.Delivered) })},
	{"remotechargeport_journal_events", "Events that wait in the agent's journal for the controller.", false,
		ofJournal(func(j *control.Journal) (int, bool) { return j.Events, true })},
	{"remotechargeport_journal_events_limit", "Events that the agent's journal has room for.", false,
		ofJournal(func(j *control.Journal) (int, bool) { return j.MaxEvents, j.MaxEvents > 0 })},
	{"remotechargeport_journal_size_bytes", "Size of the events that wait in the agent's journal.", false,
		ofJournal(func(j *control.Journal) (int, bool) { return j.Bytes, true })},
	{"remotechargeport_journal_size_limit_bytes", "Size of the events that the agent's journal has room for.", false,
		ofJournal(func(j *control.Journal) (int, bool) { return j.MaxBytes, j.MaxBytes > 0 })},

	{"remotechargeport_station_boards", "Boards that the aggregator knows.", false,
		ofStation(func(s *control.Station) int { return len(s.Boards) })},
	{"remotechargeport_station_boards_connected", "Boards that the aggregator can reach.", false,
		ofStation(boardsThat(func(b control.Board) bool { return b.Connected }))},
	{"remotechargeport_station_boards_flashing", "Boards that install firmware.", false,
		ofStation(boardsThat(func(b control.Board) bool { return b.Flashing }))},
	{"remotechargeport_station_boards_mixed", "Boards that have firmware which the station does not have.", false,
		ofStation(boardsThat(func(b control.Board) bool { return b.Mixed }))},

	{"remotechargeport_everest_messages_received_total", "Messages that came from the module's broker.", true,
		ofEverest(func(e *control.Everest) float64 { return float64(e.Received) })},
	{"remotechargeport_everest_messages_published_total", "Messages that the module gave its broker.", true,
		ofEverest(func(e *control.Everest) float64 { return float64(e.Published) })},
	{"remotechargeport_everest_messages_dropped_total", "Messages from the module's broker that could not be read.", true,
		ofEverest(func(e *control.Everest) float64 { return float64(e.Dropped) })},
	{"remotechargeport_everest_calls_waiting", "Calls of the module that wait for their reply.", false,
		ofEverest(func(e *control.Everest) float64 { return float64(e.CallsWaiting) })},
	{"remotechargeport_everest_queue_depth_messages", "Messages that wait for the module's handlers.", false,
		ofEverest(func(e *control.Everest) float64 {
			depth := 0
			for _, queue := range e.Queues {
				depth += queue.Depth
			}
			return float64(depth)
		})},
	{"remotechargeport_everest_queue_age_seconds", "Age of the oldest message that waits for one of the module's handlers.", false,
		ofEverest(func(e *control.Everest) float64 {
			oldest := 0.0
			for _, queue := range e.Queues {
				oldest = max(oldest, queue.Oldest)
			}
			return oldest
		})},
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unix(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// boardsThat returns a function that counts the boards for which is returns true.
func boardsThat(is func(control.Board) bool) func(*control.Station) int {
	return func(station *control.Station) int {
		found := 0
		for _, board := range station.Boards {
			if is(board) {
				found++
			}
		}
		return found
	}
}

func ofStatus(value func(*control.Status) (float64, bool)) func(*Board) (float64, bool) {
	return func(b *Board) (float64, bool) {
		if !b.Answers || b.Status == nil {
			return 0, false
		}
		return value(b.Status)
	}
}

func ofLink(value func(*control.Link) (float64, bool)) func(*Board) (float64, bool) {
	return ofStatus(func(s *control.Status) (float64, bool) {
		if s.Link == nil {
			return 0, false
		}
		return value(s.Link)
	})
}

func ofController(value func(*control.Link) float64) func(*Board) (float64, bool) {
	return ofLink(func(l *control.Link) (float64, bool) { return value(l), l.Role == "controller" })
}

// ofAgent returns a value of an agent, or of a controller that has its agent's status.
func ofAgent(value func(*control.Link) float64) func(*Board) (float64, bool) {
	return ofStatus(func(s *control.Status) (float64, bool) {
		link := agentLink(s)
		if link == nil {
			return 0, false
		}
		return value(link), true
	})
}

func ofLatency(value func(*control.Latency) float64) func(*Board) (float64, bool) {
	return ofLink(func(l *control.Link) (float64, bool) {
		if l.Latency == nil || l.Latency.Samples == 0 {
			return 0, false
		}
		return value(l.Latency), true
	})
}

func ofJournal(value func(*control.Journal) (int, bool)) func(*Board) (float64, bool) {
	return ofStatus(func(s *control.Status) (float64, bool) {
		link := agentLink(s)
		if link == nil || link.Journal == nil {
			return 0, false
		}
		n, ok := value(link.Journal)
		return float64(n), ok
	})
}

func ofStation(value func(*control.Station) int) func(*Board) (float64, bool) {
	return ofStatus(func(s *control.Status) (float64, bool) {
		if s.Station == nil {
			return 0, false
		}
		return float64(value(s.Station)), true
	})
}

func ofEverest(value func(*control.Everest) float64) func(*Board) (float64, bool) {
	return ofStatus(func(s *control.Status) (float64, bool) {
		if s.Everest == nil {
			return 0, false
		}
		return value(s.Everest), true
	})
}

// valueType returns the metric type of Prometheus.
func (m Metric) valueType() prometheus.ValueType {
	if m.Counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
