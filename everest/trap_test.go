package everest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// In C++ modules a blocked handler holds others up, and a call back into the caller may hang. Here a handler of the tower
// calls the ringer, whose handler calls the tower again, while hundreds of messages wait behind the first.
func TestTrap03_NestedCallsWhileMessagesWait(t *testing.T) {
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

// A second global ready while OnReady still runs stalls a C++ module.
func TestTrap09_GlobalReadyAgainDoesNotStall(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		release := make(chan struct{})
		defer close(release)
		b := newBelfry(t, bellConfig(t, broker), func(m *everest.Module) {
			m.Provides("main").Handle("ring", ring)
			m.OnReady(func(ctx context.Context) error {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return nil
			})
		}, nil)
		wire := newWireClient(t, broker)
		for range 3 {
			wire.publish(t, b.prefix+"ready", `{"data":true,"msg_type":"GlobalReady"}`)
		}
		if err := b.bell().Call(patient(t), "ring", map[string]any{"text": "x", "times": 1}, nil); err != nil {
			t.Error(err)
		}
	})
}

// In 2025.12 only the last of several subscriptions of the same errors gets them.
func TestTrap10_EverySubscriptionOfTheSameErrorsGetsThem(t *testing.T) {
	everesttest.ForEachBroker(t, func(t *testing.T, broker everest.Broker) {
		config := bellConfig(t, broker)
		ringer := config.Modules["ringer"]
		main := everesttest.Connection{ModuleID: "tower", ImplementationID: "main"}
		ringer.Connections = map[string][]everesttest.Connection{"bell": {main, main}, "spare": {main}}
		config.Modules["ringer"] = ringer
		heard := make(chan string, 20)
		b := newBelfry(t, config, nil, func(m *everest.Module) {
			listen := func(name string) everest.ErrorHandler {
				return func(_ context.Context, event everest.ErrorEvent) { heard <- fmt.Sprint(name, " ", event.Raised) }
			}
			m.Requires("bell")[0].SubscribeErrors(listen("first"))
			m.Requires("bell")[1].SubscribeErrors(listen("second"))
			m.Requires("spare")[0].SubscribeErrors(listen("spare"))
			m.SubscribeGlobalErrors(listen("global"))
		})
		bell := b.tower.Provides("main")
		if err := bell.Raise(patient(t), everest.Error{Type: "bell/Stuck"}); err != nil {
			t.Fatal(err)
		}
		if err := bell.ClearAll(patient(t)); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for range 8 {
			got[receive(t, heard)]++
		}
		for _, name := range []string{"first", "second", "spare", "global"} {
			if got[name+" true"] != 1 || got[name+" false"] != 1 {
				t.Errorf("heard %v", got)
			}
		}
	})
}
