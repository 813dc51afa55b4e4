package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// controllerTable is the route table as it fits the main board.
type controllerTable struct {
	routes      []Route
	offer       offer
	told        told
	differences atomic.Pointer[[]string]
	// theirs is what the satellite tunnels, nil where it is not known.
	theirs atomic.Pointer[offer]
}

// errNotThere is a command that the satellite's module does not have. It is logged
// once, for its callers may try again every second.
var errNotThere = errors.New("satellite: not tunnelled")

// fit makes the route table. What cannot be tunnelled is reported and left out.
func (c *Controller) fit(has map[string]string) error {
	extras, err := parseTunnel(c.parameters.Tunnel)
	if err != nil {
		return fmt.Errorf("satellite: the configuration key %s: %w", parameterTunnel, err)
	}
	routes, problems := fitRoutes(has, c.definitions, extras)
	for _, problem := range problems {
		c.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	c.table.routes, c.table.offer = routes, offerOf(routes, has, c.definitions)
	c.status.tunnel.Store(ptr(c.table.offer.extras()))
	c.sinks.open(c.module, routes, c.definitions)
	return nil
}

// offerTimeout is less than the handshake waits for both boards' agreement.
const offerTimeout = 2 * time.Second

// offer tells the agent what this board tunnels, and hears what the satellite
// does, before anything is relayed. A legacy agent is asked only where there is
// something that it cannot know: it gets exactly the calls that it always got.
func (c *Controller) offer(link *link, client *rpc.Client) {
	extras := c.table.offer.extras()
	if c.links.dialectNow() == handshake.Legacy && len(extras) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(link.ctx, offerTimeout)
	defer cancel()
	text, err := marshal(c.table.offer)
	var answer string
	if err == nil {
		err = client.Call(ctx, FunctionTunnel, &answer, string(text))
	}
	var theirs offer
	if err == nil {
		theirs, err = readOffer(answer)
	}
	switch {
	case err == nil:
		c.takeOffer(theirs)
	case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
		// The watch of the connection says so.
	case errors.Is(err, rpc.ErrMethodNotFound):
		c.sinks.follow(nil)
		c.table.theirs.Store(nil)
		if len(extras) > 0 {
			c.report([]string{strings.Join(extras, ", ") + ": the satellite's module has no tunnel: replace the C++ module or the older release there"})
		}
	default:
		c.log.Warn("it is not known what the satellite tunnels", zap.String("satellite", c.address()), zap.Error(err))
	}
}

func (c *Controller) takeOffer(theirs offer) {
	c.sinks.follow(theirs)
	c.table.theirs.Store(&theirs)
	found := differences(c.table.offer, theirs, "the satellite")
	for _, id := range c.table.offer.extras() {
		if their, there := theirs[id]; there && their.Module == "" {
			found = append(found, id+": nothing is connected to it on the satellite")
		}
	}
	c.report(found)
}

func (c *Controller) report(found []string) {
	c.table.differences.Store(&found)
	if len(found) > 0 && c.table.told.first(strings.Join(found, "\n")) {
		c.log.Warn("the satellite does not tunnel the same", zap.String("satellite", c.address()), zap.Strings("differences", found))
	}
}

// notThere is the answer to a command that the satellite's module does not have.
func (c *Controller) notThere(route Route, command Command) error {
	needs := "its module needs " + route.ID + " in its configuration key " + parameterTunnel
	known := !route.extra
	if theirs := c.table.theirs.Load(); theirs != nil && !known {
		_, known = (*theirs)[route.ID]
	}
	if known {
		needs = "its EVerest has another release of interface " + route.Interface
	}
	message := "the satellite at " + c.address() + " does not tunnel " + route.ID + "." + command.Name + ": " + needs
	if c.table.told.first(message) {
		c.log.Warn("command is not tunnelled", zap.String("interface", route.ID), zap.String("command", command.Name), zap.String("reason", message))
	}
	return fmt.Errorf("%w: %w", errNotThere, &everest.CommandError{Type: everest.NotReady, Message: message})
}
