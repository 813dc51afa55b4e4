package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest"
)

// port stands in for EvseManager: it answers every command of its interfaces.
// What it publishes comes from the play.
func (b *satelliteBoard) port(ctx context.Context, options everest.Options) error {
	return standIn(func(module *everest.Module) error {
		b.provide(module, "evse", "energy_grid")
		for _, implementation := range []string{"evse", "energy_grid", "random_delay", "dc_external_derate"} {
			if err := answerAll(b.definitions, module.Provides(implementation), b.portAnswer); err != nil {
				return err
			}
		}
		return nil
	})(ctx, unchecked(options))
}

// powerpath stands in for the board support. It only has errors to raise here.
func (b *satelliteBoard) powerpath(ctx context.Context, options everest.Options) error {
	return standIn(func(module *everest.Module) error {
		b.provide(module, "board_support")
		return answerAll(b.definitions, module.Provides("board_support"), plainAnswer)
	})(ctx, unchecked(options))
}

// reader stands in for an RFID reader that shows what became of a token.
func (b *satelliteBoard) reader(ctx context.Context, options everest.Options) error {
	return standIn(func(module *everest.Module) error {
		b.provide(module, "main")
		for _, auth := range module.Requires("auth") {
			auth.Subscribe("token_validation_status", func(_ context.Context, value json.RawMessage) {
				b.report.Report(Report{
					Kind: KindPushArrived, Satellite: b.config.Satellite,
					Label: Label("token_validation_status", value), Digest: Digest(value),
				})
			})
		}
		return nil
	})(ctx, unchecked(options))
}

// system stands in for System, whose reset boots the board again.
func (b *satelliteBoard) system(ctx context.Context, options everest.Options) error {
	return standIn(func(module *everest.Module) error {
		return answerAll(b.definitions, module.Provides("main"), func(command *everest.Command, _ everest.Args) json.RawMessage {
			if command.Name == "reset" {
				b.resetOnce.Do(func() { close(b.reset) })
			}
			return plausibleAnswer(command)
		})
	})(ctx, options)
}

// unchecked lets a module raise whatever the recording has. Its errors were
// injected, some with types that their interface does not list.
func unchecked(options everest.Options) everest.Options {
	options.Definitions = nil
	return options
}

// portAnswer answers as the recorded EvseManager did, and reports what it was
// asked for.
func (b *satelliteBoard) portAnswer(command *everest.Command, arguments everest.Args) json.RawMessage {
	answer := plausibleAnswer(command)
	switch command.Name {
	case commandAuthorize:
		select {
		case b.authorized <- struct{}{}:
		default: // the one before was not taken yet
		}
	case "get_evse":
		answer = json.RawMessage(fmt.Sprintf(`{"connectors":[{"id":1,"type":"Unknown"}],"id":%d}`, b.config.Satellite+1))
	}
	b.report.Report(Report{
		Kind: KindServed, Satellite: b.config.Satellite,
		Name: command.Name, Label: "call", Digest: DigestArguments(arguments), Answer: Digest(answer),
	})
	return answer
}

func plainAnswer(command *everest.Command, _ everest.Args) json.RawMessage {
	return plausibleAnswer(command)
}

// answerAll answers every command that the interface defines.
func answerAll(known *everest.Definitions, provided *everest.Provided, answer func(*everest.Command, everest.Args) json.RawMessage) error {
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

// plausibleAnswer answers as a charge port in good health: done, true, or what is
// written here.
func plausibleAnswer(command *everest.Command) json.RawMessage {
	var result struct {
		Type string `json:"type"`
	}
	// A result without a type has one that is written here.
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
