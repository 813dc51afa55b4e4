package link_test

import (
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// One legacy answer has a list of variables and a list of errors. A journal hands
// over only as much as the two lists can carry in order.
func ExampleJournal() {
	journal := link.NewJournal(link.Limits{Events: 100})
	for _, event := range []link.Event{
		{Interface: "evse_manager", Name: "session_event", Value: json.RawMessage(`{"event":"Enabled"}`)},
		{Kind: link.Raised, Value: json.RawMessage(`{"type":"evse_manager/Inoperative"}`)},
		{Interface: "evse_manager", Name: "session_event", Value: json.RawMessage(`{"event":"Disabled"}`)},
	} {
		journal.Append(event)
	}
	for journal.Stats().Events > 0 {
		events := journal.Take(1<<20, func(link.Event) bool { return true })
		fmt.Println("answer with events", events[0].Number, "to", events[len(events)-1].Number)
	}
	// Output:
	// answer with events 1 to 2
	// answer with events 3 to 3
}
