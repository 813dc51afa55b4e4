package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// A module serves its status socket, and a program reads it.
func Example() {
	directory, err := os.MkdirTemp("", "control")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(directory)
	path := filepath.Join(directory, "connector_2.sock")

	events := &control.Hub{ModuleID: "connector_2"}
	events.SetState("Working", control.Healthy)
	server, err := control.Listen(control.Config{
		Path:   path,
		Events: events,
		Status: func(context.Context) (*control.Status, error) {
			return &control.Status{Module: "SatelliteController", ModuleID: "connector_2", State: "Working", Health: control.Healthy}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx) }()

	client := control.Dial(path)
	status, err := client.Status(ctx)
	fmt.Println(status.ModuleID, status.State, status.Health, err)

	watching, enough := context.WithCancel(ctx)
	err = client.Watch(watching, func(event control.Event) {
		if event.Kind == control.KindState { // the first event: no later event is missed
			events.Publish(control.Event{
				Kind: control.KindVariable, Interface: "evse_manager", Variable: "evse_id", Value: json.RawMessage(`"DE*TST*E1"`),
			})
			return
		}
		fmt.Printf("%s.%s = %s\n", event.Interface, event.Variable, event.Value)
		enough()
	})
	fmt.Println(err)

	stop()
	fmt.Println(<-ended)
	// Output:
	// connector_2 Working ok <nil>
	// evse_manager.evse_id = "DE*TST*E1"
	// context canceled
	// <nil>
}
