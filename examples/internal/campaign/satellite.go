//go:build linux

package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/examples/internal/standin"
	"github.com/remotechargeport/remotechargeport/satellite"
)

const agentID = "remote_controller"

const portManifest = `
description: A satellite board's modules, all in one.
provides:
  evse_manager: {interface: evse_manager, description: The charge port.}
  energy: {interface: energy, description: Its energy node.}
  uk_random_delay: {interface: uk_random_delay, description: Its randomised delay.}
  system: {interface: system, description: The board.}
requires:
  auth: {interface: auth}
metadata: {license: "https://www.apache.org/licenses/LICENSE-2.0", authors: [The remotechargeport authors]}
`

// satelliteModules returns the configuration of the satellite board.
func (c *campaign) satelliteModules() map[string]everesttest.ModuleConfig {
	connections := map[string][]everesttest.Connection{}
	for _, implementation := range []string{"evse_manager", "energy", "uk_random_delay", "system"} {
		connections[implementation] = []everesttest.Connection{{ModuleID: standInID, ImplementationID: implementation}}
	}
	return map[string]everesttest.ModuleConfig{
		standInID: {Module: "Port", Manifest: []byte(portManifest), Connections: map[string][]everesttest.Connection{
			"auth": {{ModuleID: agentID, ImplementationID: "auth"}},
		}},
		agentID: {
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest, Connections: connections,
			Config: c.secured(c.port, map[string]any{
				"listen_address": portAddress, "control_socket": c.port.controlSocket(), "serial": c.port.name, "announce_interfaces": "eth0",
			}),
		},
	}
}

// setUpPort handles every command of the satellite's stand-in, and records those with a number.
func (c *campaign) setUpPort(current *life, module *everest.Module) error {
	special := map[string]bool{}
	serve := func(kind commandKind, implementation string, most time.Duration, number func(everest.Args) (int, error), answer func(int) any) {
		special[kind.name] = true
		module.Provides(implementation).Handle(kind.name, func(ctx context.Context, arguments everest.Args) (any, error) {
			asked, err := number(arguments)
			if err != nil {
				c.problem(kind.name + ": " + err.Error())
				return nil, err
			}
			c.commands.Execute(asked)
			// A command takes some time, so that faults meet it under way.
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(most)))):
			case <-ctx.Done():
			}
			return answer(asked), nil
		})
	}
	null := func(int) any { return json.RawMessage("null") }
	serve(reserve, "evse_manager", 60*time.Millisecond, func(a everest.Args) (number int, err error) {
		return number, a.Decode("reservation_id", &number)
	}, func(int) any { return true })
	serve(setDuration, "uk_random_delay", 20*time.Millisecond, func(a everest.Args) (number int, err error) {
		return number, a.Decode("value", &number)
	}, null)
	serve(enforceLimits, "energy", 5*time.Millisecond, func(a everest.Args) (int, error) {
		var limits struct {
			UUID json.RawMessage `json:"uuid"`
		}
		if err := a.Decode("value", &limits); err != nil {
			return 0, err
		}
		return numberOf(limits.UUID)
	}, null)
	serve(uploadLogs, "system", 500*time.Millisecond, func(a everest.Args) (int, error) {
		var request uploadRequest
		err := a.Decode("upload_logs_request", &request)
		return request.RequestID, err
	}, func(number int) any {
		return map[string]any{"upload_logs_status": "Accepted", "file_name": logFile(number)}
	})
	special["reset"] = true
	module.Provides("system").Handle("reset", func(context.Context, everest.Args) (any, error) {
		current.end(errReset)
		return nil, nil
	})
	for _, implementation := range []string{"evse_manager", "energy", "uk_random_delay", "system"} {
		provided := module.Provides(implementation)
		definition, _ := c.definitions.Interface(provided.Interface())
		for _, command := range definition.Commands {
			if !special[command.Name] {
				provided.Handle(command.Name, func(context.Context, everest.Args) (any, error) { return standin.PlausibleAnswer(command), nil })
			}
		}
	}
	module.Requires("auth")[0].Subscribe("token_validation_status", func(_ context.Context, value json.RawMessage) {
		number, err := numberOf(value)
		if err != nil {
			c.problem("variable for the satellite without a number: " + string(value))
			return
		}
		c.pushes.Arrive(variableKey("token_validation_status", number), string(value))
	})
	return nil
}

// errReset is the end of a board whose system module was asked for a reset.
var errReset = errors.New("its system was asked for a reset")

// play publishes the recorded traffic over and over, while the satellite is up.
func (c *campaign) play(ctx context.Context) error {
	at, number, next := 0, 0, time.Now()
	return c.port.inEachLife(ctx, func(lifetime context.Context, current *life) error {
		c.events.Fresh()
		active := map[string]everest.Error{}
		for {
			step := c.steps[at%len(c.steps)]
			after := step.At // since the step before
			if i := at % len(c.steps); i > 0 {
				after -= c.steps[i-1].At
			}
			at++
			if next = next.Add(recording.Scale(after, c.flags.Speed)); time.Since(next) > time.Second {
				next = time.Now()
			}
			if recording.Sleep(lifetime, time.Until(next)) != nil || ctx.Err() != nil {
				return nil
			}
			number++
			if err := c.publish(lifetime, current, step, number, active); err != nil {
				return err
			}
		}
	})
}

func (c *campaign) publish(ctx context.Context, current *life, step recording.Step, number int, active map[string]everest.Error) error {
	if step.Error != nil && c.flags.Standalone {
		return nil // modules that live on report the errors of others as cleared, and raise their own again
	}
	provided := current.standIn.Provides(implementationOf(step))
	if step.Error == nil {
		value := numbered(step.Value, number)
		c.events.Publish(variableKey(step.Variable, number), string(value))
		return provided.Publish(ctx, step.Variable, value)
	}
	identity := step.Error.Type + " " + step.Error.SubType + " " + step.Error.Origin.ModuleID + " " + step.Error.Origin.ImplementationID
	raised, isActive := active[identity]
	switch {
	case step.Error.State == everest.StateActive && !isActive:
		raised = *step.Error
		raised.UUID = errorUUID(number)
		active[identity] = raised
		c.events.Publish(errorKey(raised.UUID, true), raised.Type)
	case step.Error.State != everest.StateActive && isActive:
		delete(active, identity)
		c.events.Publish(errorKey(raised.UUID, false), raised.Type)
	default:
		return nil // a board that started between the raise and the clear
	}
	object, err := json.Marshal(raised)
	if err != nil {
		return err
	}
	return provided.RelayError(ctx, object, step.Error.State == everest.StateActive)
}
