package everesttest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// In each of these examples t is the *testing.T of a test.

func ExampleStation() {
	fmt.Print(record(func(t testing.TB) {
		// runDoorman is the module of doc/everesttest.md. It pauses charging when the owner's card is read.
		config := everesttest.StationConfig{Manifest: []byte(doormanManifest), Config: map[string]any{"owner": "4711"}}
		station := everesttest.NewStation(t, config, runDoorman)

		station.Fake("reader").Publish("provided_token", map[string]any{
			"id_token": map[string]any{"value": "4711", "type": "ISO14443"}, "authorization_type": "RFID",
		})
		station.Expect(everesttest.Called("port", "pause_charging", nil))
		fmt.Println(station.Events())
	}))
	// Output: [calls port.pause_charging null]
}

func ExampleFake() {
	manifest := `
description: Remembers what a meter says
metadata: {license: https://example.org, authors: [me]}
provides:
  main: {interface: error_history, description: what the meter says}
requires:
  store: {interface: kvs}
`
	run := func(ctx context.Context, options everest.Options) error {
		m, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		m.Provides("main").Handle("get_errors", func(ctx context.Context, _ everest.Args) (any, error) {
			known, err := everest.Call[bool](ctx, m.Requires("store")[0], "exists", map[string]any{"key": "errors"})
			fmt.Println("the store has errors:", known)
			return []any{}, err
		})
		return m.Run(ctx)
	}
	fmt.Print(record(func(t testing.TB) {
		station := everesttest.NewStation(t, everesttest.StationConfig{Manifest: []byte(manifest)}, run)
		filters := map[string]any{"filters": map[string]any{}}
		station.Call("main", "get_errors", filters, nil)
		station.Fake("store").Answer("exists", true)
		station.Call("main", "get_errors", filters, nil)
	}))
	// Output:
	// the store has errors: false
	// the store has errors: true
}

// Two real modules, a store and a door, and no fakes.
func ExampleManager() {
	const header = "description: %s\nmetadata: {license: 'https://example.org', authors: [me]}\n"
	fmt.Print(record(func(t testing.TB) {
		manager := everesttest.NewManager(t, everesttest.ManagerConfig{Modules: map[string]everesttest.ModuleConfig{
			"store": {Module: "Store", Manifest: fmt.Appendf(nil, header+"provides:\n  main: {interface: kvs, description: a store}\n", "A store")},
			"door": {
				Module: "Door", Manifest: fmt.Appendf(nil, header+"requires:\n  store: {interface: kvs}\n", "A door"),
				Connections: map[string][]everesttest.Connection{"store": {{ModuleID: "store", ImplementationID: "main"}}},
			},
		}})
		everesttest.RunModule(t, manager.Options("store"), func(store *everest.Module) {
			everest.Handle(store.Provides("main"), "exists", func(_ context.Context, arguments struct {
				Key string `json:"key"`
			}) (bool, error) {
				return arguments.Key == "open", nil
			})
		})
		door := everesttest.RunModule(t, manager.Options("door"), nil).Module
		everesttest.WaitReady(t, manager)

		open, err := everest.Call[bool](t.Context(), door.Requires("store")[0], "exists", map[string]any{"key": "open"})
		fmt.Println(open, err)
	}))
	// Output: true <nil>
}

func ExampleRecorder() {
	fmt.Print(record(func(t testing.TB) {
		broker := everesttest.NewBroker(t)
		recorder := everesttest.NewRecorder(t, broker, "everest/modules/+/ready", "everest/ready")
		manifest := []byte("description: Does nothing\nmetadata: {license: 'https://example.org', authors: [me]}\n")
		manager := everesttest.NewManager(t, everesttest.ManagerConfig{Broker: broker, Modules: map[string]everesttest.ModuleConfig{
			"idle": {Module: "Idle", Manifest: manifest},
		}})
		everesttest.RunModule(t, manager.Options("idle"), nil)

		if _, err := recorder.WaitTopic(t.Context(), "everest/ready"); err != nil {
			t.Fatal(err)
		}
		for _, message := range recorder.Messages() {
			fmt.Println(message.Topic, manager.CheckMessage(message))
		}
	}))
	// Output:
	// everest/modules/idle/ready <nil>
	// everest/ready <nil>
}
