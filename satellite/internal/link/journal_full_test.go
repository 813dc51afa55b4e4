package link

import (
	"fmt"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
)

// fullJournal is a journal of v2 without room. Every spread-th event is one that a
// newer value replaces.
func fullJournal(events, spread int) *journal {
	journal := newJournal(Limits{V2Events: events})
	journal.setDialect(handshake.V2)
	for i := range events {
		event := variableOf("session_event")
		if i%spread == 0 {
			event = telemetryOf("telemetry")
		}
		journal.append(event)
	}
	return journal
}

// BenchmarkFullJournal is one event for a journal without room: where only the
// oldest can be evicted, and where values are superseded.
func BenchmarkFullJournal(b *testing.B) {
	for _, events := range []int{2_000, 20_000, 200_000} {
		for name, spread := range map[string]int{"oldest": 1 << 30, "superseded": 2} {
			b.Run(fmt.Sprintf("%s/%d", name, events), func(b *testing.B) {
				journal := fullJournal(events, spread)
				event := variableOf("session_event")
				if spread == 2 {
					event = telemetryOf("telemetry")
				}
				b.ReportAllocs()
				for b.Loop() {
					journal.append(event)
				}
			})
		}
	}
}

// A full journal takes an event in a time that does not grow with its size.
func TestAFullJournalIsNotScanned(t *testing.T) {
	const appends = 5_000
	fastest := func(events, spread int, event Event) time.Duration {
		best := time.Hour
		for range 5 { // other load on the machine only slows
			journal := fullJournal(events, spread)
			journal.append(event)
			began := time.Now()
			for range appends {
				journal.append(event)
			}
			best = min(best, time.Since(began))
		}
		return best
	}
	for name, test := range map[string]struct {
		spread int
		event  Event
	}{
		"oldest":     {1 << 30, variableOf("session_event")},
		"superseded": {2, telemetryOf("telemetry")},
		"mixed":      {2, variableOf("session_event")},
	} {
		small, large := fastest(500, test.spread, test.event), fastest(20_000, test.spread, test.event)
		t.Logf("%s: %v and %v", name, small, large)
		if large > 15*small {
			t.Errorf("%s: %d appends take %v with 500 events and %v with 20 000", name, appends, small, large)
		}
	}
}

// What was superseded is evicted before anything else, however it is acknowledged
// and refilled meanwhile.
func TestEvictionAfterAcknowledgement(t *testing.T) {
	journal := fullJournal(160, 2)
	journal.append(telemetryOf("telemetry"))
	journal.acknowledge(100)
	for journal.append(telemetryOf("telemetry")).full == nil {
	}
	stats := journal.stats()
	if stats.Events > stats.MaxEvents {
		t.Errorf("%d events are kept, want at most %d", stats.Events, stats.MaxEvents)
	}
	important := 0
	for _, event := range journal.buffer.after(0, 1<<20) {
		if event.Name == "session_event" {
			important++
		}
	}
	if important != 30 {
		t.Errorf("%d events that nothing replaces are left, want 30", important)
	}
}
