package everest

import (
	"runtime/debug"
	"time"
)

// Stats counts the work of a module since Connect, and describes its queues.
type Stats struct {
	// Received counts all messages from the broker. Unwanted counts the messages without a subscription. Dropped counts
	// the messages that could not be read.
	Received, Unwanted, Dropped uint64
	// Published counts all messages that were passed to the transport.
	Published uint64
	// Commands counts the readable commands received. Calls counts the commands sent.
	Commands, Calls uint64
	// CallsWaiting is the number of calls that wait for their reply.
	CallsWaiting int
	// Queues lists the queues in the order in which they were made.
	Queues []QueueStats
}

// Stats returns the current values.
func (m *Module) Stats() Stats {
	return Stats{
		Received:     m.counters.received.Load(),
		Unwanted:     m.counters.unwanted.Load(),
		Dropped:      m.dropped.count(),
		Published:    m.counters.published.Load(),
		Commands:     m.counters.commands.Load(),
		Calls:        m.counters.callsMade.Load(),
		CallsWaiting: m.calls.len(),
		Queues:       m.dispatcher.stats(time.Now()),
	}
}

// Version returns the version of the running program, as `go version -m` shows it for the main module. For a build from
// a checkout it is the first 12 digits of the revision, with "+dirty" when files were changed. It is "unknown" for a
// build that has neither a version nor a revision.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	if version := info.Main.Version; version != "" && version != "(devel)" {
		return version
	}
	var revision, dirty string
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			revision = setting.Value[:min(12, len(setting.Value))]
		case "vcs.modified":
			if setting.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	if revision == "" {
		return "unknown"
	}
	return revision + dirty
}
