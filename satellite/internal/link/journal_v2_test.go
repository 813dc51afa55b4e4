package link

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func telemetryOf(name string) Event {
	return Event{Interface: "evse_manager", Name: name, Value: json.RawMessage(`1`), NewestOnly: true}
}

// Towards a v2 controller an event stays until it is acknowledged, comes again
// from wherever the controller stands, and is merged only where a newer value of
// the same variable waits. Where nothing can be merged the oldest is given up,
// session events last.
func TestJournalKeepsWhatIsNotAcknowledged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		journal := newBuffer(Limits{Events: 8, V2Events: 20})
		journal.limits.Events = journal.limits.V2Events
		kept := map[uint64]Event{}
		acknowledged := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				event := variableOf("evse_id")
				switch rapid.IntRange(0, 3).Draw(t, "kind") {
				case 0:
					event = variableOf("session_event")
					event.GivenUpLast = true
				case 1, 2:
					event = telemetryOf(rapid.SampledFrom([]string{"telemetry", "powermeter"}).Draw(t, "name"))
				}
				if journal.append(event) == nil {
					event.Number = journal.last
					kept[event.Number] = event
				}
			},
			"acknowledge": func(t *rapid.T) {
				acknowledged = rapid.Uint64Range(acknowledged, journal.last).Draw(t, "number")
				journal.acknowledge(acknowledged)
				for number := range kept {
					if number <= acknowledged {
						delete(kept, number)
					}
				}
			},
			"give one up": func(t *rapid.T) {
				var want uint64
				for number, event := range kept {
					if want == 0 || kept[want].GivenUpLast && !event.GivenUpLast ||
						kept[want].GivenUpLast == event.GivenUpLast && number < want {
						want = number
					}
				}
				journal.evictOldest()
				delete(kept, want)
			},
			"merge": func(t *rapid.T) {
				before := journal.len()
				if before-journal.evictSuperseded() != journal.len() {
					t.Fatal("evictSuperseded returns another number than it gave up")
				}
				left := map[uint64]bool{}
				for _, event := range journal.after(0, 1<<20) {
					left[event.Number] = true
				}
				for number, event := range kept {
					if left[number] {
						continue
					}
					newer := false
					for other, candidate := range kept {
						newer = newer || other > number && left[other] && candidate.Name == event.Name
					}
					if !event.NewestOnly || !newer {
						t.Fatalf("gave up %+v", event)
					}
					delete(kept, number)
				}
			},
			"": func(t *rapid.T) {
				from := rapid.Uint64Range(acknowledged, journal.last).Draw(t, "from")
				last, count, bytes := from, 0, 0
				for _, event := range journal.after(from, 1<<20) {
					if event.Number <= last {
						t.Fatalf("event %d comes after %d", event.Number, last)
					}
					if _, ok := kept[event.Number]; !ok {
						t.Fatalf("event %d was acknowledged", event.Number)
					}
					last = event.Number
				}
				for number, event := range kept {
					bytes += event.size()
					if number > from {
						count++
					}
				}
				if got := len(journal.after(from, 1<<20)); got != count {
					t.Fatalf("returns %d events above %d, want %d", got, from, count)
				}
				if journal.len() != len(kept) || journal.bytes != bytes {
					t.Fatalf("holds %d events of %d bytes, want %d of %d", journal.len(), journal.bytes, len(kept), bytes)
				}
			},
		})
	})
}

func TestJournalAfterIsBoundedByBytes(t *testing.T) {
	journal := newBuffer(Limits{})
	for i := range 5 {
		if err := journal.append(Event{Interface: "i", Name: fmt.Sprint(i), Value: json.RawMessage(strings.Repeat("1", 98))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		after uint64
		most  int
		want  string
	}{{0, 250, "0 1"}, {2, 10, "2"}, {4, 1000, "4"}, {5, 1000, ""}} {
		if got := names(journal.after(test.after, test.most)); got != test.want {
			t.Errorf("after %d at most %d bytes: %q, want %q", test.after, test.most, got, test.want)
		}
	}
}

func TestJournalMergesTheOldestFirst(t *testing.T) {
	journal := newBuffer(Limits{Events: 32})
	for i := range 32 {
		event := telemetryOf("telemetry")
		if i%4 == 0 {
			event = variableOf("session_event")
		}
		if err := journal.append(event); err != nil {
			t.Fatal(err)
		}
	}
	if givenUp := journal.evictSuperseded(); givenUp != 3 {
		t.Errorf("gave up %d events, want as many as free a sixteenth and one", givenUp)
	}
	var first []uint64
	for _, event := range journal.after(0, 1<<20) {
		first = append(first, event.Number)
	}
	if want := "[1 5"; !strings.HasPrefix(fmt.Sprint(first), want) {
		t.Errorf("the first that are left are %v, want %s ...]", first, want)
	}
	if err := journal.append(variableOf("session_event")); err != nil {
		t.Error(err)
	}
}
