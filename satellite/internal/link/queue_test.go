package link

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
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
	}, atOnce)
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
	}, atOnce)
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
	}, atOnce)
	if room := queue.waitForRoom(t.Context(), 0); room != maxBacklog {
		t.Errorf("room for %d bytes in an empty queue, want %d", room, maxBacklog)
	}
}

// Events without a text, and what comes around events, take memory, too: the queue counts an answer as long as it keeps it.
func TestTheQueueCountsWhatItKeeps(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(s byte) rpc.Raw
	}{
		{"empty events", func(n byte) rpc.Raw {
			return appendHeld(appendEvents(nil, 0, slices.Repeat([]Event{{Number: 100 + uint64(n), Kind: Active}}, 20_000)), 0)
		}},
		{"a member that nobody knows", func(n byte) rpc.Raw {
			encoded := append([]byte{wireArray32, 0, 0, 0, 1, wireArrayOf5 + 1, n + 1, 9, wireText32, 0, 1, 0, 0}, make([]byte, 1<<16)...)
			encoded = append(encoded, wireFalse, wireFalse, wireFalse)
			return append([]byte{wireArrayOf2, 0, wireBinary32, 0, byte(len(encoded) >> 16), byte(len(encoded) >> 8), byte(len(encoded))}, encoded...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			queue := newQueue()
			kept := 0
			for n := byte(0); queue.room() > 0; n++ {
				answer := test.answer(n)
				read, err := readEvents(answer, eventsQuery{maxBytes: uint64(queue.room())})
				if err != nil || read.events.count == 0 {
					t.Fatalf("%d events, %v", read.events.count, err)
				}
				queue.add(read.events, nil)
				if kept += len(answer); kept > 2*maxBacklog {
					t.Fatalf("%d bytes are kept, and there is room", kept)
				}
			}
			ended := make(chan struct{})
			queue.addTask(func(context.Context) { close(ended) })
			queue.run(ended, func(context.Context, Event) {}, atOnce)
			if room := queue.room(); room != maxBacklog {
				t.Errorf("room for %d bytes in an empty queue, want %d", room, maxBacklog)
			}
		})
	}
}

// A queue of which nothing is published, while the main board starts, gives up the oldest of the events that the agent has
// forgotten. What the agent keeps, and tasks, stay.
func TestTheQueueGivesUpTheOldest(t *testing.T) {
	queue := newQueue()
	queue.addTask(func(context.Context) {})
	queue.add(batchOf(Event{Number: 1, Name: "kept"}), nil)
	value := json.RawMessage(make([]byte, maxBacklog/4))
	given := 0
	for range 10 {
		queue.addUnique(batchOf(Event{Name: "a", Value: value}, Event{Name: "b"}))
		given += queue.giveUp()
	}
	if given != 14 || queue.len() != 7 {
		t.Errorf("%d events were given up, and %d wait", given, queue.len())
	}
	queue.addUnique(batchOf(Event{Name: "alone", Value: make([]byte, 2*maxBacklog)}))
	if given := queue.giveUp(); given != 6 {
		t.Errorf("%d events were given up for one", given)
	}
	ended := make(chan struct{})
	queue.addTask(func(context.Context) { close(ended) })
	var got []string
	queue.run(ended, func(_ context.Context, event Event) { got = append(got, event.Name) }, atOnce)
	if want := []string{"kept", "alone"}; !slices.Equal(got, want) || queue.room() != maxBacklog {
		t.Errorf("published %v, and there is room for %d bytes", got, queue.room())
	}
}

// atOnce is a broker that acknowledges what it gets.
func atOnce(done func()) { done() }

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
		batch.kept += event.size()
		batch.last = max(batch.last, event.Number)
	}
	return batch
}
