package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// errNotThere is a command that the satellite's module does not have. It is logged
// once, for its callers may try again every second.
var errNotThere = errors.New("satellite: not tunnelled")

// resolve resolves the route table. It logs what cannot be tunnelled, and leaves it out.
func (c *Controller) resolve(interfaces map[string]string) error {
	problems, err := c.table.Resolve(interfaces, c.definitions, c.parameters.Tunnel)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		c.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	c.sinks.open(c.module, c.table.Routes(), c.definitions)
	return nil
}

// compareTimeout is less than the handshake waits for both boards' agreement.
const compareTimeout = 2 * time.Second

// compareTables sends the agent this board's route table and receives the
// satellite's, before anything is relayed. A legacy agent is called only where
// this board has extras: otherwise it gets exactly the calls that it always got.
func (c *Controller) compareTables(link *link, client *rpc.Client) {
	extras := c.table.Extras()
	if c.links.dialectNow() == handshake.Legacy && len(extras) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(link.ctx, compareTimeout)
	defer cancel()
	text, err := c.table.Summary()
	var answer string
	if err == nil {
		err = client.Call(ctx, route.FunctionSummary, &answer, text)
	}
	var peer route.Summary
	if err == nil {
		peer, err = route.ParseSummary(answer)
	}
	switch {
	case err == nil:
		c.takeSummary(peer)
	case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
		// The watch of the connection says so.
	case errors.Is(err, rpc.ErrMethodNotFound):
		c.sinks.follow(nil)
		c.table.Forget()
		if len(extras) > 0 {
			c.report([]string{strings.Join(extras, ", ") + ": the satellite's module has no tunnel: replace the C++ module or the older release there"})
		}
	default:
		c.log.Warn("it is not known what the satellite tunnels", zap.String("satellite", c.address()), zap.Error(err))
	}
}

func (c *Controller) takeSummary(peer route.Summary) {
	c.sinks.follow(peer)
	found := c.table.Compare(peer, "the satellite")
	for _, id := range c.table.Extras() {
		if entry, there := peer[id]; there && entry.Module == "" {
			found = append(found, id+": nothing is connected to it on the satellite")
		}
	}
	c.report(found)
}

func (c *Controller) report(found []string) {
	if c.table.SetDifferences(found) {
		c.log.Warn("the satellite does not tunnel the same", zap.String("satellite", c.address()), zap.Strings("differences", found))
	}
}

// notThere is the answer to a command that the satellite's module does not have.
func (c *Controller) notThere(r route.Route, command route.Command) error {
	needs := "its module needs " + r.ID + " in its configuration key tunnel"
	_, known := c.table.Peer()[r.ID]
	known = known || !r.Extra
	if known {
		needs = "its EVerest has another release of interface " + r.Interface
	}
	message := "the satellite at " + c.address() + " does not tunnel " + r.ID + "." + command.Name + ": " + needs
	if c.table.First(message) {
		c.log.Warn("command is not tunnelled", zap.String("interface", r.ID), zap.String("command", command.Name), zap.String("reason", message))
	}
	return fmt.Errorf("%w: %w", errNotThere, &everest.CommandError{Type: everest.NotReady, Message: message})
}
