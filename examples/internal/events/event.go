// Package events keeps what has happened at a station in the last day: sessions, errors, cuts and restarts, over a
// restart of the process that looks.
//
//	snapshots of the modules -> Watch (watch.go, pure) -> Event -> Log (log.go, on disk) -> the page, satctl events
//
// What was known of a module is on disk beside the events, in one file. So a process that starts anew finds what has
// changed meanwhile, and tells nothing a second time.
package events

import (
	"fmt"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	SessionBegan Kind = "session began"
	SessionEnded Kind = "session ended"
	ErrorRaised  Kind = "error"
	ErrorCleared Kind = "error cleared"
	LinkCut      Kind = "cut"
	LinkBack     Kind = "link back"
	OutOfService Kind = "out of service"
	InService    Kind = "in service"
	Restarted    Kind = "restart"
	NoAnswer     Kind = "no answer"
	Answers      Kind = "answers"
	// Level is a change of a module's level that no other event explains.
	Level Kind = "level"
)

// Event is something that happened at a module or its EVSE.
type Event struct {
	// Number counts the events of a Log from 1.
	Number uint64 `json:"number"`
	// Time is when it happened, or when it was noticed where nobody says.
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	// EVSE is the number of the EVSE, empty for an event of the module alone. ModuleID is the module's.
	EVSE     string        `json:"evse,omitempty"`
	ModuleID string        `json:"module_id"`
	Level    verdict.Level `json:"level"`
	// Text is a sentence for people.
	Text string `json:"text"`
}

// Of returns whose event it is, for people.
func (e *Event) Of() string {
	if e.EVSE == "" || e.EVSE == e.ModuleID {
		return e.ModuleID
	}
	return fmt.Sprintf("EVSE %s, %s", e.EVSE, e.ModuleID)
}

const (
	// Age is how long events are kept.
	Age = 24 * time.Hour
	// maxEvents is how many events are kept, and maxBytes about how large their part of the file may be. Beyond that the
	// oldest of the module with the most events goes, so that a module that flaps does not push out what others have.
	maxEvents = 2000
	maxBytes  = 512 << 10
	// maxText is how many bytes of an event's text are kept.
	maxText = 300
)

// size returns about how many bytes an event has in the file.
func (e *Event) size() int { return 160 + len(e.ModuleID) + len(e.Text) }

// prune drops events that are too old, and of too many those of the module that has most.
func prune(events []Event, now time.Time) []Event {
	kept := events[:0]
	counts, size := map[string]int{}, 0
	for _, event := range events {
		if age := now.Sub(event.Time); age > Age || age < -Age {
			continue
		}
		kept = append(kept, event)
		counts[event.ModuleID]++
		size += event.size()
	}
	for len(kept) > maxEvents || size > maxBytes {
		most := kept[0].ModuleID
		for id, count := range counts {
			if count > counts[most] || count == counts[most] && id < most {
				most = id
			}
		}
		oldest := slices.IndexFunc(kept, func(event Event) bool { return event.ModuleID == most })
		size -= kept[oldest].size()
		kept = slices.Delete(kept, oldest, oldest+1)
		counts[most]--
	}
	return kept
}
