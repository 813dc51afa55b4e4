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
	queue := newQueue()
	queue.add(batchOf(Event{Number: 1, Name: "a"}, Event{Number: 2, Name: "b"}), nil)
	queue.addTask(func(context.Context) {})
	if got := queue.len(); got != 2 {
		t.Errorf("%d events wait, want 2", got)
	}
	ended := make(chan struct{})
	queue.run(ended, func(_ context.Context, event Event) {
		if want := 3 - int(event.Number); queue.len() != want {
			t.Errorf("%d events wait while event %d is published, want %d", queue.len(), event.Number, want)
		}
		if event.Number == 2 {
			close(ended)
		}
	})
	if got := queue.len(); got != 0 {
		t.Errorf("%d events wait after both are published", got)
	}
}

// Events and tasks keep their order. After the end only what the agent has
// forgotten is published.
func TestTheQueueAfterTheEnd(t *testing.T) {
	queue := newQueue()
	ended := make(chan struct{})
	var got []string
	queue.addTask(func(context.Context) { got = append(got, "task") })
	queue.add(batchOf(Event{Number: 1, Name: "a"}, Event{Number: 2, Name: "b"}), nil)
	queue.addUnique(batchOf(Event{Name: "c"}, Event{Name: "d"}))
	queue.addTask(func(context.Context) { got = append(got, "late task") })
	queue.add(batchOf(Event{Number: 3, Name: "e"}), nil)
	queue.run(ended, func(_ context.Context, event Event) {
		if got = append(got, event.Name); event.Name == "a" {
			close(ended)
		}
	})
	if want := []string{"task", "a", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("done: %v, want %v", got, want)
	}
	if got := queue.len(); got != 2 {
		t.Errorf("%d events are lost, want 2", got)
	}
}

// A full queue asks for no events until half of it is published.
func TestTheQueueHasRoomAgain(t *testing.T) {
	queue := newQueue()
	value := json.RawMessage(make([]byte, maxBacklog/4))
	for number := range uint64(4) {
		queue.add(batchOf(Event{Number: number + 1, Value: value}), nil)
	}
	if room := queue.waitForRoom(t.Context(), 0); room != 0 {
		t.Errorf("room for %d bytes in a full queue", room)
	}
	ended := make(chan struct{})
	published := 0
	queue.run(ended, func(context.Context, Event) {
		if published++; published == 4 {
			close(ended)
		}
	})
	if room := queue.waitForRoom(t.Context(), 0); room != maxBacklog {
		t.Errorf("room for %d bytes in an empty queue, want %d", room, maxBacklog)
	}
}

// batchOf returns a batch of events that are not encoded.
func batchOf(events ...Event) eventBatch {
	batch := eventBatch{count: len(events), all: func(yield func(Event) bool) {
		for _, event := range events {
			if !yield(event) {
				return
			}
		}
	}}
	for _, event := range events {
		batch.bytes += event.size()
		batch.last = max(batch.last, event.Number)
	}
	return batch
}
