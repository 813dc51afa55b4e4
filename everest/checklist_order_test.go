package everest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestChecklist18_OrderPerTopicAndTopicsInParallel(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		const count = 400
		release, stuck := make(chan struct{}), make(chan struct{})
		numbers, texts := make(chan int, count), make(chan string, count)
		var ringer *everest.Module
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
		}, func(m *everest.Module) {
			ringer = m
			bell := m.Requires("bell")[0]
			var once sync.Once
			// This handler holds hundreds of messages back, and then calls a command for each of them.
			everest.Subscribe(bell, "rung", func(ctx context.Context, number int) {
				once.Do(func() { close(stuck); <-release })
				if number%100 == 0 {
					if err := bell.Call(ctx, "ring", map[string]any{"text": fmt.Sprint(number), "times": 1}, nil); err != nil {
						t.Errorf("call from a handler: %v", err)
					}
				}
				numbers <- number
			})
			everest.Subscribe(bell, "last", func(_ context.Context, value struct{ Text string }) { texts <- value.Text })
		})
		publish := func(variable string, value any) {
			if err := b.tower.Provides("main").Publish(patient(t), variable, value); err != nil {
				t.Fatal(err)
			}
		}
		for i := range count {
			publish("rung", i)
			publish("last", map[string]any{"text": fmt.Sprint(i)})
		}
		receive(t, stuck)
		// The other topic goes on, in order, and so do calls and their results.
		for i := range count {
			if got := receive(t, texts); got != fmt.Sprint(i) {
				t.Fatalf("text %d is %q", i, got)
			}
		}
		if err := ringer.Requires("bell")[0].Call(patient(t), "ring", map[string]any{"text": "now", "times": 1}, nil); err != nil {
			t.Fatal(err)
		}
		close(release)
		for i := range count {
			if got := receive(t, numbers); got != i {
				t.Fatalf("number %d is %d", i, got)
			}
		}
	})
}

// The same for several subscriptions on one queue: the order of all of them is that of the broker.
func TestChecklist18_OneQueueKeepsTheOrderAcrossTopics(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		const count = 200
		events := make(chan string, 3*count)
		b := newBelfry(t, bellConfig(t, broker), nil, func(m *everest.Module) {
			queue := m.NewQueue("everything")
			bell := m.Requires("bell")[0]
			bell.Subscribe("rung", func(_ context.Context, value json.RawMessage) { events <- "rung " + string(value) }, everest.OnQueue(queue))
			bell.Subscribe("last", func(_ context.Context, value json.RawMessage) { events <- "last " + string(value) }, everest.OnQueue(queue))
			bell.SubscribeErrors(func(_ context.Context, event everest.ErrorEvent) {
				events <- fmt.Sprintf("error %s %v", event.Error.SubType, event.Raised)
			}, everest.OnQueue(queue))
		})
		bell := b.tower.Provides("main")
		ctx := patient(t)
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range count {
			check(bell.Publish(ctx, "rung", i))
			check(bell.Raise(ctx, everest.Error{Type: "bell/Stuck", SubType: fmt.Sprint(i)}))
			check(bell.Publish(ctx, "last", raw(fmt.Sprintf(`{"text":"%d"}`, i))))
		}
		for i := range count {
			for _, want := range []string{fmt.Sprintf("rung %d", i), fmt.Sprintf("error %d true", i), fmt.Sprintf(`last {"text":"%d"}`, i)} {
				if got := receive(t, events); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		}
	})
}

func TestChecklist19_NothingIsLostBetweenReceiptAndDispatch(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		const count = 3000
		release := make(chan struct{})
		numbers, texts := make(chan int, count), make(chan string, 1)
		b := newBelfry(t, bellConfig(t, broker), nil, func(m *everest.Module) {
			bell := m.Requires("bell")[0]
			everest.Subscribe(bell, "rung", func(_ context.Context, number int) {
				<-release
				numbers <- number
			})
			everest.Subscribe(bell, "last", func(_ context.Context, value struct{ Text string }) { texts <- value.Text })
		})
		for i := range count {
			if err := b.tower.Provides("main").Publish(patient(t), "rung", i); err != nil {
				t.Fatal(err)
			}
		}
		// That this one arrives shows that the client's goroutine has put all the others away.
		if err := b.tower.Provides("main").Publish(patient(t), "last", map[string]string{"text": "end"}); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, texts); got != "end" {
			t.Errorf("got %q", got)
		}
		waiting := 0
		for _, queue := range b.ringer.Stats().Queues {
			if queue.Name == b.topic("var/rung") {
				waiting = queue.Depth
				if queue.Bytes == 0 || queue.Oldest == 0 || queue.Running == 0 {
					t.Errorf("the stuck queue looks idle: %+v", queue)
				}
			}
		}
		if waiting != count-1 {
			t.Errorf("%d messages wait, want %d", waiting, count-1)
		}
		close(release)
		for i := range count {
			if got := receive(t, numbers); got != i {
				t.Fatalf("message %d is %d", i, got)
			}
		}
	})
}
