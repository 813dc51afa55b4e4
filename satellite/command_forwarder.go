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
	"github.com/remotechargeport/remotechargeport/satellite/internal/crossing"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
	"github.com/remotechargeport/remotechargeport/satellite/internal/update"
)

// updateRequest is the argument of update_firmware.
const updateRequest = "firmware_update_request"

// commandForwarder carries the main board's commands and variables to the satellite.
type commandForwarder struct {
	log    *zap.Logger
	module *everest.Module
	// satellite names the satellite in logs and errors.
	satellite   string
	definitions *schema.Definitions
	table       *route.Table
	translator  *crossing.Translator
	check       *valueCheck
	link        *link.Client
	evse        *evse
	updates     *update.Keeper
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
				f.evse.told(r.ID, command.Name, arguments)
				return f.command(ctx, r, command, arguments)
			})
		}
	}
}

// callSatellite calls a command that no module of the main board calls. It logs a failure, and returns nil then, as for a
// command that this release does not have.
func (f *commandForwarder) callSatellite(ctx context.Context, id, name string, arguments everest.Args) json.RawMessage {
	for _, r := range f.table.Routes() {
		for _, command := range r.Commands {
			if r.ID == id && command.Name == name && !command.Missing {
				result, _ := f.command(ctx, r, command, arguments) // a failure is logged there
				return result
			}
		}
	}
	return nil
}

// command carries a command to the satellite and returns its result. One that is for another EVSE ends here. Arguments
// that EVerest's C++ modules cannot read are refused first, because a C++ agent ends with its whole board on one. Others
// pass, whatever else the definition says.
func (f *commandForwarder) command(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	carried := true
	arguments, err := f.definitions.ReadableArguments(r.Interface, command.Name, arguments)
	if err == nil {
		arguments, carried, err = f.translator.Arguments(r.ID, command.Name, arguments)
	}
	if err == nil && !carried {
		return json.RawMessage("null"), nil
	}
	f.commands.Add(1)
	if err != nil {
		return nil, f.failed(r, command, err)
	}
	result, err := f.link.Call(ctx, r, command, arguments)
	if err == nil && command.AcceptsUpdate(result) {
		f.updates.Accepted(arguments[updateRequest])
	}
	if err == nil {
		result, err = f.translator.Result(r.ID, command.Name, result)
	}
	switch {
	case err == nil:
		if unreadable := f.check.result(r.ID, command.Name, result); unreadable != nil {
			f.commandErrors.Add(1)
			return nil, unreadable
		}
		if command.Remembered {
			f.remembered.Store(&result)
		}
		return result, nil
	case errors.Is(err, link.ErrIsolated):
		result, err = f.unavailable(r, command)
	case errors.Is(err, net.ErrClosed), errors.Is(err, link.ErrAway):
		result, err = f.withoutLink(r, command, err)
	case errors.Is(err, link.ErrNotTunnelled):
		f.commandErrors.Add(1)
		return f.notTunnelled(r, command)
	}
	if err != nil {
		failed := f.failed(r, command, err)
		if command.Result == route.Null {
			return json.RawMessage("null"), nil
		}
		return nil, failed
	}
	return result, nil
}

// failed counts and logs a command that failed, and returns the error for its caller. The caller of a command without a
// result does not get an error of the satellite: EVerest's Auth ends with its whole board on one.
func (f *commandForwarder) failed(r route.Route, command route.Command, err error) error {
	f.commandErrors.Add(1)
	failed := link.FromWireError(err)
	f.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(failed))
	return failed
}

// withoutLink returns the result of a command that did not reach the satellite, or whose reply was lost. One without a
// result counts as done: its caller has no use for the error. EVerest's EnergyManager, which sets limits every second,
// ends its whole board on one, also while the satellite is away as expected. A reset takes the link along anyway. One
// with a result gets the negative result.
func (f *commandForwarder) withoutLink(r route.Route, command route.Command, cause error) (json.RawMessage, error) {
	if command.Result == route.Null {
		f.commandErrors.Add(1)
		f.log.Warn("command did not reach the satellite, or took it along",
			zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(cause))
		return json.RawMessage("null"), nil
	}
	f.log.Warn("command is answered negatively: there is no link to the satellite",
		zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(cause))
	result, err := f.unavailable(r, command)
	if err == nil {
		f.commandErrors.Add(1)
	}
	return result, err
}

func (f *commandForwarder) notConnected() *everest.CommandError {
	return &everest.CommandError{Type: everest.NotReady, Message: link.ErrNotConnected.Error() + " at " + f.satellite}
}

// unavailable returns the result of a command for a port that cannot be reached, or is out of service.
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

// notTunnelled returns the result of a command that the satellite's module does not have. It is negative: a caller in C++
// may end on an error. Only a command of the configuration key tunnel, or one without a negative result, gets an error. The
// reason is logged once, because callers may try again every second.
func (f *commandForwarder) notTunnelled(r route.Route, command route.Command) (json.RawMessage, error) {
	needs := "its module needs " + r.ID + " in its configuration key tunnel"
	if _, known := f.table.Peer()[r.ID]; known || !r.Extra {
		needs = "its EVerest or its module is of another release, with another interface " + r.Interface
	}
	message := fmt.Sprintf("the satellite at %s does not tunnel %s.%s: %s", f.satellite, r.ID, command.Name, needs)
	if f.table.First(message) {
		f.log.Warn("command is not tunnelled", zap.String("interface", r.ID), zap.String("command", command.Name), zap.String("reason", message))
	}
	if r.Extra {
		return nil, &everest.CommandError{Type: everest.NotReady, Message: message}
	}
	result, ok := command.UnavailableResult(), true
	if result == nil {
		result, ok = f.definitions.Refusal(r.Interface, command.Name)
	}
	if !ok {
		return nil, &everest.CommandError{Type: everest.NotReady, Message: message}
	}
	return result, nil
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
