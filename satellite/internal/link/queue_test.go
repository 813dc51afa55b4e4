package link

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
)

// What is taken and not published yet still waits: a controller that ends now
// loses it.
func TestTheQueueCountsWhatIsUnderWay(t *testing.T) {
	queue := NewQueue()
	queue.Add(BatchOf(Event{Number: 1, Name: "a"}, Event{Number: 2, Name: "b"}), nil)
	queue.AddTask(func(context.Context) {})
	if got := queue.Len(); got != 2 {
		t.Errorf("%d events wait, want 2", got)
	}
	ended := make(chan struct{})
	queue.Run(ended, func(_ context.Context, event Event) {
		if want := 3 - int(event.Number); queue.Len() != want {
			t.Errorf("%d events wait while event %d is published, want %d", queue.Len(), event.Number, want)
		}
		if event.Number == 2 {
			close(ended)
		}
	})
	if got := queue.Len(); got != 0 {
		t.Errorf("%d events wait after both are published", got)
	}
}

// Events and tasks keep their order. After the end only what the agent has
// forgotten is published.
func TestTheQueueAfterTheEnd(t *testing.T) {
	queue := NewQueue()
	ended := make(chan struct{})
	var got []string
	queue.AddTask(func(context.Context) { got = append(got, "task") })
	queue.Add(BatchOf(Event{Number: 1, Name: "a"}, Event{Number: 2, Name: "b"}), nil)
	queue.AddUnique(BatchOf(Event{Name: "c"}, Event{Name: "d"}))
	queue.AddTask(func(context.Context) { got = append(got, "late task") })
	queue.Add(BatchOf(Event{Number: 3, Name: "e"}), nil)
	queue.Run(ended, func(_ context.Context, event Event) {
		if got = append(got, event.Name); event.Name == "a" {
			close(ended)
		}
	})
	if want := []string{"task", "a", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("done: %v, want %v", got, want)
	}
	if got := queue.Len(); got != 2 {
		t.Errorf("%d events are lost, want 2", got)
	}
}

// A full queue asks for no events until half of it is published.
func TestTheQueueHasRoomAgain(t *testing.T) {
	queue := NewQueue()
	value := json.RawMessage(make([]byte, maxBacklog/4))
	for number := range uint64(4) {
		queue.Add(BatchOf(Event{Number: number + 1, Value: value}), nil)
	}
	if room := queue.WaitForRoom(t.Context(), 0); room != 0 {
		t.Errorf("room for %d bytes in a full queue", room)
	}
	ended := make(chan struct{})
	published := 0
	queue.Run(ended, func(context.Context, Event) {
		if published++; published == 4 {
			close(ended)
		}
	})
	if room := queue.WaitForRoom(t.Context(), 0); room != maxBacklog {
		t.Errorf("room for %d bytes in an empty queue, want %d", room, maxBacklog)
	}
}
