package link

import (
	"encoding/json"
	"fmt"
)

// One legacy answer has a list of variables and a list of errors. A journal hands
// over only as much as the two lists can carry in order.
func Example_journal() {
	journal := newJournal(Limits{Events: 100})
	for _, event := range []Event{
		{Interface: "evse_manager", Name: "session_event", Value: json.RawMessage(`{"event":"Enabled"}`)},
		{Kind: Raised, Value: json.RawMessage(`{"type":"evse_manager/Inoperative"}`)},
		{Interface: "evse_manager", Name: "session_event", Value: json.RawMessage(`{"event":"Disabled"}`)},
	} {
		journal.append(event)
	}
	for journal.stats().Events > 0 {
		events := journal.take(1<<20, func(*Event) bool { return true })
		fmt.Println("answer with events", events[0].Number, "to", events[len(events)-1].Number)
	}
	// Output:
	// answer with events 1 to 2
	// answer with events 3 to 3
}
