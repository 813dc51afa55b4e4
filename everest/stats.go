package everest

import (
	"runtime/debug"
	"time"
)

// Stats is what a module has done since Connect, and what waits now.
type Stats struct {
	// Received counts all messages from the broker; Unwanted those that no subscription asked for, Dropped those that
	// could not be read.
	Received, Unwanted, Dropped uint64
	// Published counts all messages handed over for sending.
	Published uint64
	// Commands counts the commands that came in and could be read, Calls those that went out.
	Commands, Calls uint64
	// CallsWaiting is the number of calls that wait for their reply now.
	CallsWaiting int
	// Queues in the order of their making.
	Queues []QueueStats
}

// Stats returns a snapshot.
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

// Version is the version of the running program: that of its main module as `go version -m` shows it, for a build in a
// checkout the revision, with "+dirty" when files were changed; "unknown" where the build has left both out.
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
