// Package standin stands in for modules of EVerest. Each has the manifest of the real module as far as the link between
// the boards needs it, and answers every command as a charge port in good health would.
//
// MainBoard and SatelliteBoard play a whole board together: the satellite's charge port replays what was recorded on a real
// station, the main board does what Auth, OCPP and the energy manager do. Both record what they send and receive, for a
// ledger.Ledger.
package standin

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// Run returns the life of a module that stands in for one of EVerest's. Its setUp
// registers handlers and subscriptions.
func Run(setUp func(module *everest.Module) error) func(context.Context, everest.Options) error {
	return func(ctx context.Context, options everest.Options) error {
		module, err := everest.Connect(ctx, options)
		if err != nil {
			return err
		}
		defer module.Close()
		if err := setUp(module); err != nil {
			return err
		}
		return module.Run(ctx)
	}
}

// RunUnchecked is Run for a module that raises whatever the recording has. The
// recorded errors were injected, some with types that their interface does not list.
func RunUnchecked(setUp func(module *everest.Module) error) func(context.Context, everest.Options) error {
	return func(ctx context.Context, options everest.Options) error {
		options.Definitions = nil
		return Run(setUp)(ctx, options)
	}
}

// SubscribeAll subscribes every variable of the connected interface.
func SubscribeAll(known *schema.Definitions, required *everest.Required, queue *everest.Queue, arrived func(variable string, value json.RawMessage)) error {
	definition, ok := known.Interface(required.Interface())
	if !ok {
		return fmt.Errorf("interface %s is not defined", required.Interface())
	}
	for _, variable := range definition.Variables {
		required.Subscribe(variable.Name, func(_ context.Context, value json.RawMessage) {
			arrived(variable.Name, value)
		}, everest.OnQueue(queue))
	}
	return nil
}

//go:embed manifests
var manifests embed.FS

// Config configures a stand-in by its module's name, which has a manifest in the
// folder manifests.
func Config(module string, mapping *everesttest.ModuleMapping, connections map[string][]everesttest.Connection) everesttest.ModuleConfig {
	manifest, err := manifests.ReadFile("manifests/" + module + ".yaml")
	if err != nil {
		// The manager says that the module has no manifest.
		manifest = nil
	}
	return everesttest.ModuleConfig{Module: module, Manifest: manifest, Mapping: mapping, Connections: connections}
}

// PlainAnswer is PlausibleAnswer for AnswerAll.
func PlainAnswer(command *schema.Command, _ everest.Args) json.RawMessage {
	return PlausibleAnswer(command)
}

// AnswerAll answers every command that the interface defines.
func AnswerAll(known *schema.Definitions, provided *everest.Provided, answer func(*schema.Command, everest.Args) json.RawMessage) error {
	definition, ok := known.Interface(provided.Interface())
	if !ok {
		return fmt.Errorf("interface %s is not defined", provided.Interface())
	}
	for _, command := range definition.Commands {
		provided.Handle(command.Name, func(_ context.Context, arguments everest.Args) (any, error) {
			return answer(command, arguments), nil
		})
	}
	return nil
}

// PlausibleAnswer returns the answer of a charge port in good health: done, true,
// or the value listed here.
func PlausibleAnswer(command *schema.Command) json.RawMessage {
	var result struct {
		Type string `json:"type"`
	}
	// A result without a type has one of the values below.
	_ = json.Unmarshal(command.Result, &result)
	switch result.Type {
	case "null":
		return json.RawMessage(`null`)
	case "boolean":
		return json.RawMessage(`true`)
	}
	switch command.Name {
	case "update_allowed_energy_transfer_modes":
		return json.RawMessage(`"Accepted"`)
	case "upload_logs":
		return json.RawMessage(`{"upload_logs_status":"Rejected"}`)
	case "get_boot_reason":
		return json.RawMessage(`"PowerUp"`)
	}
	return json.RawMessage(`"Rejected"`)
}
