package satellite

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func variableOf(name string) Event {
	return Event{Interface: "evse_manager", Variable: name, Value: json.RawMessage(`1`)}
}

func errorOf(name string) Event {
	return Event{Error: json.RawMessage(`"` + name + `"`), Raised: true}
}

func names(events []Event) string {
	var texts []string
	for _, event := range events {
		texts = append(texts, event.Variable+strings.Trim(string(event.Error), `"`))
	}
	return strings.Join(texts, " ")
}

func TestJournalTakeKeepsOrderAcrossTheTwoLists(t *testing.T) {
	journal := NewJournal(Limits{})
	for _, event := range []Event{variableOf("v1"), variableOf("v2"), errorOf("E1"), errorOf("E2"), variableOf("v3"), errorOf("E3")} {
		if err := journal.Append(event); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for journal.Len() > 0 {
		got = append(got, names(journal.Take(1<<20)))
	}
	if diff := cmp.Diff([]string{"v1 v2 E1 E2", "v3 E3"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if journal.Bytes() != 0 {
		t.Errorf("an empty journal holds %d bytes", journal.Bytes())
	}
}

func TestJournalTakeIsBoundedByBytes(t *testing.T) {
	journal := NewJournal(Limits{})
	for i := range 5 {
		if err := journal.Append(Event{Interface: "i", Variable: fmt.Sprint(i), Value: json.RawMessage(strings.Repeat("1", 98))}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(journal.Take(250)); got != "0 1" {
		t.Errorf("took %q, want two events of 100 bytes", got)
	}
	if got := names(journal.Take(10)); got != "2" {
		t.Errorf("took %q: an event larger than the bound must still be taken alone", got)
	}
}

func TestJournalRefusesBeyondItsLimits(t *testing.T) {
	byCount := NewJournal(Limits{Events: 2})
	byBytes := NewJournal(Limits{Bytes: 30})
	for range 2 {
		if err := errors.Join(byCount.Append(variableOf("v")), byBytes.Append(variableOf("v"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, journal := range []*Journal{byCount, byBytes} {
		if err := journal.Append(variableOf("v")); !errors.Is(err, ErrJournalFull) {
			t.Errorf("error %v, want ErrJournalFull", err)
		}
		if journal.Len() != 2 || journal.Appended() != 2 {
			t.Errorf("holds %d of %d events, want 2 of 2", journal.Len(), journal.Appended())
		}
		if journal.Clear() != 2 || journal.Len() != 0 || journal.Bytes() != 0 {
			t.Error("Clear must give up both events")
		}
		if err := journal.Append(variableOf("v")); err != nil {
			t.Errorf("a cleared journal refuses: %v", err)
		}
	}
}

// Whatever is appended and however it is taken, events come out once, in order,
// and every answer can be written as variables followed by errors.
func TestJournalDeliversEverythingOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		journal := NewJournal(Limits{Events: 50})
		var next, want uint64 = 1, 1
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				event := variableOf("v")
				if rapid.Bool().Draw(t, "error") {
					event = errorOf("E")
				}
				if journal.Append(event) == nil {
					next++
				}
			},
			"take": func(t *rapid.T) {
				errorSeen := false
				for _, event := range journal.Take(rapid.IntRange(0, 100).Draw(t, "bytes")) {
					if event.Number != want {
						t.Fatalf("took event %d, want %d", event.Number, want)
					}
					if errorSeen && event.Error == nil {
						t.Fatal("a variable follows an error in one answer")
					}
					errorSeen = errorSeen || event.Error != nil
					want++
				}
			},
			"": func(t *rapid.T) {
				if uint64(journal.Len()) != next-want {
					t.Fatalf("journal holds %d events, want %d", journal.Len(), next-want)
				}
			},
		})
	})
}
