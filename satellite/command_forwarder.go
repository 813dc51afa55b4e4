package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// commandForwarder carries the main board's commands and variables to the satellite.
type commandForwarder struct {
	log    *zap.Logger
	module *everest.Module
	// satellite names the satellite in logs and errors.
	satellite   string
	definitions *schema.Definitions
	table       *route.Table
	link        *link.Client
	// remembered is the last result of the command that is marked so in the table.
	remembered atomic.Pointer[json.RawMessage]

	commands, commandErrors, pushed atomic.Uint64
}

// provide handles every command of the route table.
func (f *commandForwarder) provide() {
	for _, r := range f.table.Routes() {
		for _, command := range r.Commands {
			if command.Missing {
				continue // nobody here can call it
			}
			f.module.Provides(r.ID).Handle(command.Name, func(ctx context.Context, arguments everest.Args) (any, error) {
				return f.command(ctx, r, command, arguments)
			})
		}
	}
}

// command carries a command to the satellite and returns its result. It checks the arguments first, because a C++ agent
// ends with its whole board on a wrong one.
func (f *commandForwarder) command(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	f.commands.Add(1)
	err := f.definitions.CheckReceivedArguments(r.Interface, command.Name, arguments)
	var result json.RawMessage
	if err == nil {
		result, err = f.link.Call(ctx, r, command, arguments)
	}
	switch {
	case err == nil:
		if command.Remembered {
			f.remembered.Store(&result)
		}
		return result, nil
	case errors.Is(err, link.ErrIsolated):
		result, err = f.unavailable(r, command)
	case errors.Is(err, net.ErrClosed):
		result, err = f.withoutLink(r, command, err)
	case errors.Is(err, link.ErrNotTunnelled):
		f.commandErrors.Add(1)
		return nil, f.notTunnelled(r, command)
	}
	if err != nil {
		f.commandErrors.Add(1)
		failed := link.FromWireError(err)
		f.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(failed))
		return nil, failed
	}
	return result, nil
}

// withoutLink returns the result of a command that did not reach the satellite, or whose reply was lost. One without a
// result counts as done: its caller has no use for the error. EVerest's EnergyManager, which sets limits every second,
// ends its whole board on one, also while the satellite is away as expected. A reset takes the link along anyway.
func (f *commandForwarder) withoutLink(r route.Route, command route.Command, cause error) (json.RawMessage, error) {
	if command.Result != route.Null {
		if errors.Is(cause, link.ErrNotConnected) {
			cause = f.notConnected()
		}
		return nil, cause
	}
	f.commandErrors.Add(1)
	f.log.Warn("command did not reach the satellite, or took it along",
		zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(cause))
	return json.RawMessage("null"), nil
}

func (f *commandForwarder) notConnected() *everest.CommandError {
	return &everest.CommandError{Type: everest.NotReady, Message: link.ErrNotConnected.Error() + " at " + f.satellite}
}

// unavailable returns the result of a command for a port that is out of service.
func (f *commandForwarder) unavailable(r route.Route, command route.Command) (json.RawMessage, error) {
	if result := command.UnavailableResult(); result != nil {
		return result, nil
	}
	if command.Remembered {
		if last := f.remembered.Load(); last != nil {
			return *last, nil
		}
		if mapping := f.module.MappingOf(r.ID); mapping != nil {
			connector := 1
			if mapping.Connector != nil {
				connector = *mapping.Connector
			}
			return json.RawMessage(`{"connectors":[{"id":` + strconv.Itoa(connector) + `}],"id":` + strconv.Itoa(mapping.EVSE) + `}`), nil
		}
	}
	return nil, f.notConnected()
}

// notTunnelled returns the error of a command that the satellite's module does not have. It logs the reason once,
// because callers may try again every second.
func (f *commandForwarder) notTunnelled(r route.Route, command route.Command) error {
	needs := "its module needs " + r.ID + " in its configuration key tunnel"
	if _, known := f.table.Peer()[r.ID]; known || !r.Extra {
		needs = "its EVerest has another release of interface " + r.Interface
	}
	message := fmt.Sprintf("the satellite at %s does not tunnel %s.%s: %s", f.satellite, r.ID, command.Name, needs)
	if f.table.First(message) {
		f.log.Warn("command is not tunnelled", zap.String("interface", r.ID), zap.String("command", command.Name), zap.String("reason", message))
	}
	return &everest.CommandError{Type: everest.NotReady, Message: message}
}

// push sends the main board's variables of the table to the satellite, in the order in which MQTT delivered them.
func (f *commandForwarder) push() {
	order := everest.OnQueue(f.module.NewQueue("push"))
	for _, push := range route.Pushes() {
		for _, required := range f.module.Requires(push.ID) {
			required.Subscribe(push.Variable, func(ctx context.Context, value json.RawMessage) {
				err := f.link.Push(ctx, push, value)
				switch {
				case err == nil:
					f.pushed.Add(1)
				case ctx.Err() == nil:
					f.log.Warn("variable did not reach the satellite",
						zap.String("interface", push.ID), zap.String("variable", push.Variable), zap.Error(err))
				}
			}, order)
		}
	}
}
