package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
)

// port stands in for EvseManager: it answers every command of its interfaces.
// What it publishes comes from the play.
func (b *satelliteBoard) port(ctx context.Context, options everest.Options) error {
	return standin.Run(func(module *everest.Module) error {
		b.provide(module, "evse", "energy_grid")
		for _, implementation := range []string{"evse", "energy_grid", "random_delay", "dc_external_derate"} {
			if err := standin.AnswerAll(b.definitions, module.Provides(implementation), b.portAnswer); err != nil {
				return err
			}
		}
		return nil
	})(ctx, standin.Unchecked(options))
}

// powerpath stands in for the board support. It only has errors to raise here.
func (b *satelliteBoard) powerpath(ctx context.Context, options everest.Options) error {
	return standin.Run(func(module *everest.Module) error {
		b.provide(module, "board_support")
		return standin.AnswerAll(b.definitions, module.Provides("board_support"), standin.PlainAnswer)
	})(ctx, standin.Unchecked(options))
}

// reader stands in for an RFID reader that shows what became of a token.
func (b *satelliteBoard) reader(ctx context.Context, options everest.Options) error {
	return standin.Run(func(module *everest.Module) error {
		b.provide(module, "main")
		for _, auth := range module.Requires("auth") {
			auth.Subscribe("token_validation_status", func(_ context.Context, value json.RawMessage) {
				b.report.Record(ledger.Variable(ledger.PushArrived, b.config.Satellite, "token_validation_status", value))
			})
		}
		return nil
	})(ctx, standin.Unchecked(options))
}

// system stands in for System, whose reset boots the board again.
func (b *satelliteBoard) system(ctx context.Context, options everest.Options) error {
	return standin.Run(func(module *everest.Module) error {
		return standin.AnswerAll(b.definitions, module.Provides("main"), func(command *schema.Command, _ everest.Args) json.RawMessage {
			if command.Name == "reset" {
				b.resetOnce.Do(func() { close(b.reset) })
			}
			return standin.PlausibleAnswer(command)
		})
	})(ctx, options)
}

// portAnswer answers as the recorded EvseManager did, and reports what it was
// asked for.
func (b *satelliteBoard) portAnswer(command *schema.Command, arguments everest.Args) json.RawMessage {
	answer := standin.PlausibleAnswer(command)
	switch command.Name {
	case commandAuthorize:
		select {
		case b.authorized <- struct{}{}:
		default: // the one before was not taken yet
		}
	case "get_evse":
		answer = json.RawMessage(fmt.Sprintf(`{"connectors":[{"id":1,"type":"Unknown"}],"id":%d}`, b.config.Satellite+1))
	}
	b.report.Record(ledger.Entry{
		Kind: ledger.Served, Satellite: b.config.Satellite,
		Name: command.Name, Label: "call", Digest: ledger.DigestArguments(arguments), Answer: ledger.Digest(answer),
	})
	return answer
}
