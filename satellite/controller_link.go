package satellite

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// The methods of this file are what the link calls on the main board.

// dial connects to the satellite, wherever it is.
func (c *Controller) dial(ctx context.Context) (*rpc.Client, error) {
	if c.finder != nil {
		return c.finder.connect(ctx)
	}
	return c.dialer.Dial(ctx, c.target.String())
}

// disconnected follows the end of a connection that this board did not close.
func (c *Controller) disconnected(err error) { c.dialer.LogEnd(c.target.String(), err) }

// suspected follows a path that seems to swallow long packets.
func (c *Controller) suspected() {
	segment := c.link.Load().Segment()
	text := suspicion(segment)
	if before := c.path.Swap(&text); before != nil && *before == text {
		return // on another connection
	}
	c.log.Warn("small messages arrive, large ones do not: MTU?", zap.String("satellite", c.target.String()), zap.Int("segment_bytes", segment))
}

// established follows a link that carries commands from here on.
func (c *Controller) established(resumed bool) {
	c.refusal.Store(nil)
	if !resumed {
		c.updates.Restarted()
		if c.waited { // what was polled meanwhile comes before
			c.waited = false
			c.link.Load().AddTask(func(context.Context) { c.updates.Restarted() })
		}
		dialect := c.link.Load().Stats().Dialect
		c.background.Go(func() {
			if err := c.memory.remember(dialect); err != nil {
				c.log.Warn("the loss policy auto does not know this satellite at the next start", zap.Error(err))
			}
		})
	}
	if !resumed || c.outOfService {
		c.compareClocks()
	}
	if c.outOfService {
		c.outOfService = false
		c.outage.clear()
	}
	c.evse.linked(resumed)
}

// polled hears of the end of an installation for which the agreement waits.
func (c *Controller) polled(event link.Event) {
	if event.Kind == link.Variable && route.IsFirmwareStatus(event.Interface, event.Name) {
		c.updates.Reported(event.Value)
	}
}

// isolated takes the port out of service.
func (c *Controller) isolated(reason handshake.Reason) {
	c.outOfService = true
	text := "no link to the satellite at " + c.target.String() + ": " + reason.String()
	c.outage.raise(text)
	c.evse.lost(text)
}

// changed follows each step of the handshake. A caller that has seen a status and then watches must not get an older
// state, so the watchers come first.
func (c *Controller) changed(window time.Duration) func(link.ClientState) {
	return func(now link.ClientState) {
		c.control.moved(now.State)
		c.changes.link(now.State)
		c.turned(now.State)
		reportLink(c.module, now.State, "satellite", c.target.String()+c.start.problem())
		c.logState(now, c.link.Load().Stats().Resumes, window)
	}
}

// resolve resolves the route table. It logs what cannot be tunnelled, and leaves that out.
func (c *Controller) resolve(interfaces map[string]string, definitions *schema.Definitions) error {
	problems, err := c.table.Resolve(interfaces, definitions, c.parameters.Tunnel)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		c.log.Error("an interface is not tunnelled", zap.String("problem", problem))
	}
	c.sinks.open(c.module, c.translator, c.table.Routes(), definitions)
	return nil
}

// compareTimeout is less than the handshake waits for both boards' agreement.
const compareTimeout = 2 * time.Second

// compare sends the agent this board's route table and receives the satellite's. A legacy agent is called only where
// this board has extras: otherwise it gets exactly the calls that it always got.
func (c *Controller) compare(ctx context.Context, dialect handshake.Dialect, exchange func(context.Context, string) (string, error)) {
	extras := c.table.Extras()
	if dialect == handshake.Legacy && len(extras) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	peer, err := c.exchange(limited, exchange)
	switch {
	case err == nil:
		c.follow(peer)
	case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
		// The end of the connection is handled elsewhere.
	case errors.Is(err, rpc.ErrMethodNotFound):
		c.sinks.follow(nil)
		c.table.Forget()
		if len(extras) > 0 {
			c.report([]string{strings.Join(extras, ", ") + ": the satellite's module has no tunnel: replace the C++ module or the older release there"})
		}
	default:
		c.log.Warn("it is not known what the satellite tunnels", zap.String("satellite", c.target.String()), zap.Error(err))
	}
}

func (c *Controller) exchange(ctx context.Context, exchange func(context.Context, string) (string, error)) (route.Summary, error) {
	summary, err := c.table.Summary()
	if err != nil {
		return nil, err
	}
	answer, err := exchange(ctx, summary)
	if err != nil {
		return nil, err
	}
	return route.ParseSummary(answer)
}

// follow takes over the satellite's summary.
func (c *Controller) follow(peer route.Summary) {
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
		c.log.Warn("the satellite does not tunnel the same", zap.String("satellite", c.target.String()), zap.Strings("differences", found))
	}
}
