package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newBuffer(limits Limits) *journalBuffer {
	buffer := newJournalBuffer(limits)
	return &buffer
}

func variableOf(name string) Event {
	return Event{Interface: "evse_manager", Name: name, Value: json.RawMessage(`1`)}
}

func errorOf(name string) Event {
	return Event{Kind: Raised, Value: json.RawMessage(`"` + name + `"`)}
}

func names(events []Event) string {
	var texts []string
	for _, event := range events {
		name := event.Name
		if event.isError() {
			name = strings.Trim(string(event.Value), `"`)
		}
		texts = append(texts, name)
	}
	return strings.Join(texts, " ")
}

func TestJournalTakeKeepsOrderAcrossTheTwoLists(t *testing.T) {
	journal := newBuffer(Limits{})
	for _, event := range []Event{variableOf("v1"), variableOf("v2"), errorOf("E1"), errorOf("E2"), variableOf("v3"), errorOf("E3")} {
		if err := journal.append(event); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for journal.len() > 0 {
		got = append(got, names(journal.take(1<<20)))
	}
	if diff := cmp.Diff([]string{"v1 v2 E1 E2", "v3 E3"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if journal.bytes != 0 {
		t.Errorf("an empty journal holds %d bytes", journal.bytes)
	}
}

func TestJournalTakeIsBoundedByBytes(t *testing.T) {
	journal := newBuffer(Limits{})
	for i := range 5 {
		if err := journal.append(Event{Interface: "i", Name: fmt.Sprint(i), Value: json.RawMessage(strings.Repeat("1", 98))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(journal.take(250)); got != "0 1" {
		t.Errorf("took %q, want two events of 100 bytes", got)
	}
	if got := names(journal.take(10)); got != "2" {
		t.Errorf("took %q: an event larger than the bound must still be taken alone", got)
	}
}

func TestJournalRefusesBeyondItsLimits(t *testing.T) {
	byCount := newBuffer(Limits{Events: 2})
	byBytes := newBuffer(Limits{Bytes: 30})
	for range 2 {
		if err := errors.Join(byCount.append(variableOf("v")), byBytes.append(variableOf("v"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, journal := range []*journalBuffer{byCount, byBytes} {
		if err := journal.append(variableOf("v")); !errors.Is(err, errJournalFull) {
			t.Errorf("error %v, want ErrJournalFull", err)
		}
		if journal.len() != 2 || journal.last != 2 {
			t.Errorf("holds %d of %d events, want 2 of 2", journal.len(), journal.last)
		}
		journal.evictOldest()
		journal.evictOldest()
		journal.evictOldest()
		if journal.len() != 0 || journal.bytes != 0 {
			t.Error("both events must be evicted")
		}
		if err := journal.append(variableOf("v")); err != nil {
			t.Errorf("an emptied journal refuses: %v", err)
		}
	}
}

// Whatever is appended and however it is taken, events come out once, in order,
// and every answer can be written as variables followed by errors.
func TestJournalDeliversEverythingOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		journal := newBuffer(Limits{Events: 50})
		var next, want uint64 = 1, 1
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				event := variableOf("v")
				if rapid.Bool().Draw(t, "error") {
					event = errorOf("E")
				}
				if journal.append(event) == nil {
					next++
				}
			},
			"take": func(t *rapid.T) {
				errorSeen := false
				for _, event := range journal.take(rapid.IntRange(0, 100).Draw(t, "bytes")) {
					if event.Number != want {
						t.Fatalf("took event %d, want %d", event.Number, want)
					}
					if errorSeen && !event.isError() {
						t.Fatal("a variable follows an error in one answer")
					}
					errorSeen = errorSeen || event.isError()
					want++
				}
			},
			"": func(t *rapid.T) {
				if uint64(journal.len()) != next-want {
					t.Fatalf("journal holds %d events, want %d", journal.len(), next-want)
				}
			},
		})
	})
}
