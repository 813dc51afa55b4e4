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

// In C++ modules a blocked handler holds others up, and a call back into the caller may hang. Here a handler of the tower
// calls the ringer, whose handler calls the tower again, while hundreds of messages wait behind the first.
func TestChecklist18_NestedCallsWhileMessagesWait(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		tower := config.Modules["tower"]
		tower.Manifest = []byte(towerManifest + "requires: {back: {interface: bell}}\n")
		tower.Connections = map[string][]everesttest.Connection{"back": {{ModuleID: "ringer", ImplementationID: "own"}}}
		config.Modules["tower"] = tower
		const waiting = 300
		stuck, release := make(chan struct{}), make(chan struct{})
		numbers := make(chan int, waiting)
		b := newBelfry(t, config, func(m *everest.Module) {
			m.Provides("main").Handle("wait", func(ctx context.Context, _ everest.Args) (any, error) {
				return everest.Call[int](ctx, m.Requires("back")[0], "wait", nil)
			})
			m.Provides("main").Handle("ring", ring)
		}, func(m *everest.Module) {
			bell := m.Requires("bell")[0]
			m.Provides("own").Handle("wait", func(ctx context.Context, _ everest.Args) (any, error) {
				text, err := everest.Call[string](ctx, bell, "ring", map[string]any{"text": "x", "times": 1})
				return len(text), err
			})
			everest.Subscribe(bell, "rung", func(_ context.Context, number int) {
				if number == 0 {
					close(stuck)
					<-release
				}
				numbers <- number
			})
		})
		for i := range waiting {
			if err := b.tower.Provides("main").Publish(patient(t), "rung", i); err != nil {
				t.Fatal(err)
			}
		}
		receive(t, stuck)
		if length, err := everest.Call[int](patient(t), b.bell(), "wait", nil); err != nil || length != len("ding x") {
			t.Errorf("nested calls: %d, %v", length, err)
		}
		close(release)
		for i := range waiting {
			if got := receive(t, numbers); got != i {
				t.Fatalf("number %d is %d", i, got)
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
