package satellite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// provide answers every command of the controller's implementations: those of
// the route table by the satellite, those of `satellite` itself.
func (c *Controller) provide() {
	for _, r := range c.table.Routes() {
		for _, command := range r.Commands {
			if command.Missing {
				continue // nobody here can call it
			}
			c.module.Provides(r.ID).Handle(command.Name, func(ctx context.Context, arguments everest.Args) (any, error) {
				return c.tunnel(ctx, r, command, arguments)
			})
		}
	}
	satellite := c.module.Provides(route.Satellite)
	satellite.Handle("get_local_endpoint_address", func(context.Context, everest.Args) (any, error) {
		return c.localAddress(), nil
	})
	satellite.Handle("get_remote_endpoint_address", func(context.Context, everest.Args) (any, error) {
		return c.remoteAddress(), nil
	})
	satellite.Handle("is_connected", func(context.Context, everest.Args) (any, error) {
		return c.links.working() != nil, nil
	})
}

// localAddress is the IP address of this board on the network towards the
// satellite, empty before the first connection.
func (c *Controller) localAddress() string {
	client := c.links.standing()
	if client == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(client.LocalAddr().String())
	if err != nil {
		return client.LocalAddr().String()
	}
	return host
}

// remoteAddress is where the satellite is: the configured name or address, or,
// of one that is configured by its serial number, the address of the link, else
// where it is announced. It is empty as long as that is not known.
func (c *Controller) remoteAddress() string {
	if c.finder == nil {
		return c.target.host
	}
	if client := c.links.standing(); client != nil {
		if address, err := netip.ParseAddrPort(client.RemoteAddr().String()); err == nil {
			return address.Addr().Unmap().String()
		}
	}
	if location, _ := c.finder.watcher.Location(); location.Err() == nil {
		return location.Boards[0].Addresses[0].String()
	}
	return ""
}

// tunnel passes a command to the satellite. Arguments are checked first, since a
// C++ agent ends with its whole board on a wrong one.
func (c *Controller) tunnel(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (any, error) {
	c.status.commands.Add(1)
	result, err := c.passOn(ctx, r, command, arguments)
	if err != nil {
		c.status.commandErrors.Add(1)
		failed := fromWireError(err)
		if !errors.Is(err, errNotThere) {
			c.log.Warn("command failed", zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(failed))
		}
		return nil, failed
	}
	return result, nil
}

func (c *Controller) passOn(ctx context.Context, r route.Route, command route.Command, arguments everest.Args) (json.RawMessage, error) {
	if err := c.definitions.CheckReceivedArguments(r.Interface, command.Name, arguments); err != nil {
		return nil, err
	}
	values, err := command.WriteArguments(arguments)
	if err != nil {
		return nil, err
	}
	way := c.links.passage()
	switch {
	case way.isolated:
		return c.negative(r, command)
	case way.session != nil:
		return c.passOnV2(ctx, way, r, command, arguments)
	case way.client == nil:
		return c.withoutLink(r, command, c.notConnected())
	}
	client := way.client
	if command.Effect == route.Resets {
		c.loop.postAndWait(handshake.ResetForwarded{})
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CommandTimeout)
	defer cancel()
	target, value := command.ReadResult()
	err = client.Call(ctx, command.Function, target, values...)
	if command.Derived && errors.Is(err, rpc.ErrMethodNotFound) {
		return nil, c.notThere(r, command)
	}
	if errors.Is(err, net.ErrClosed) {
		return c.withoutLink(r, command, fmt.Errorf("%s: %w", command.Function, err))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command.Function, err)
	}
	result, err := value()
	if err != nil {
		return nil, fmt.Errorf("result of %s.%s: %w", r.Interface, command.Name, err)
	}
	if command.AcceptsUpdate(result) {
		c.loop.postAndWait(handshake.FirmwareAccepted{})
	}
	return result, nil
}

// withoutLink answers a command that did not reach the satellite, or whose answer
// cannot come any more. One without a result is answered as done: its caller has
// no use for the error, and EVerest's EnergyManager, which sets limits every
// second, ends its whole board on one, while the satellite is away as expected.
// A reset takes the link along anyway.
func (c *Controller) withoutLink(r route.Route, command route.Command, cause error) (json.RawMessage, error) {
	if command.Result != route.Null {
		if errors.Is(cause, ErrNotConnected) {
			cause = c.notConnected()
		}
		return nil, cause
	}
	c.status.commandErrors.Add(1)
	c.log.Warn("command did not reach the satellite, or took it along",
		zap.String("interface", r.ID), zap.String("command", command.Name), zap.Error(cause))
	return json.RawMessage("null"), nil
}

// push sends the main board's variables of Pushes to the satellite, in the order
// in which MQTT delivered them. One that is published before the satellite has
// agreed waits for it.
func (c *Controller) push() {
	order := everest.OnQueue(c.module.NewQueue("push"))
	for _, push := range route.Pushes() {
		for _, required := range c.module.Requires(push.ID) {
			required.Subscribe(push.Variable, func(ctx context.Context, value json.RawMessage) {
				if err := c.pushOne(ctx, push, value); err != nil && ctx.Err() == nil {
					c.log.Warn("variable did not reach the satellite",
						zap.String("interface", push.ID), zap.String("variable", push.Variable), zap.Error(err))
				}
			}, order)
		}
	}
}

func (c *Controller) pushOne(ctx context.Context, push route.Push, value json.RawMessage) error {
	if err := waitFor(ctx, c.agreed); err != nil {
		return err
	}
	way := c.links.passage()
	switch {
	case way.session != nil:
		return c.pushOneV2(ctx, way, push, value)
	case way.client == nil:
		return ErrNotConnected
	}
	client := way.client
	text, err := route.Marshal(variableEvent{Interface: push.ID, Value: value, Variable: push.Variable})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.CommandTimeout)
	defer cancel()
	if err := client.Call(ctx, FunctionPushVar, nil, string(text)); err != nil {
		return err
	}
	c.status.pushed.Add(1)
	return nil
}
