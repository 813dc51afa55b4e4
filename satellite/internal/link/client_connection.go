package link

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// connect makes a connection, executes the work queued for it, and waits for its end. It closes an abandoned
// connection.
func (c *Client) connect(ctx context.Context, conn *connection) {
	defer conn.cancel()
	conn.awaitBefore()
	client, err := c.config.Dial(ctx)
	if err != nil {
		defer close(conn.weighed)
		if errors.Is(err, rpc.ErrHandshake) && ctx.Err() != nil && c.path.stalled() {
			// TCP connected, and TLS was not answered: its messages are long.
			c.lowered()
		}
		if ctx.Err() == nil {
			c.config.NotConnected(err)
		}
		c.loop.post(handshake.ConnectFailed{Conn: conn.id, Refused: errors.Is(err, syscall.ECONNREFUSED)})
		return
	}
	var working sync.WaitGroup
	defer func() {
		conn.cancel()
		c.watch.end(client)
		client.Close()
		working.Wait()
	}()
	c.watch.begin(client, c.config.Protocol.HeartbeatTimeout)
	c.keeper.connected(conn, client)
	c.config.Connected(client)
	c.loop.post(handshake.Connected{Conn: conn.id})
	for {
		select {
		case work := <-conn.work:
			working.Go(func() { work(ctx, client) })
		case <-conn.again:
			c.watch.end(client)
			client.Close()
			again, err := c.config.Dial(ctx)
			if err != nil {
				close(conn.weighed)
				c.disconnected(conn, err)
				return
			}
			client = again
			c.watch.begin(client, c.config.Protocol.HeartbeatTimeout)
			c.keeper.connected(conn, client)
			c.config.Connected(client)
			c.loop.post(handshake.CallFailed{Conn: conn.id, Function: handshake.Hello})
		case <-client.Done():
			c.weigh(conn)
			c.disconnected(conn, client.Err())
			return
		case <-ctx.Done():
			c.weigh(conn)
			return
		case <-c.loop.ended:
			close(conn.weighed)
			return
		}
	}
}

// disconnected handles the end of a connection that the agent or the network has ended.
func (c *Client) disconnected(conn *connection, err error) {
	if linked := c.keeper.ended(conn, err); !linked {
		c.config.NotConnected(err)
	}
	c.log.Debug("connection ended", zap.String("satellite", c.config.Peer), zap.Error(err))
	c.config.Disconnected(err)
	c.loop.post(handshake.Disconnected{Conn: conn.id})
}

// weighTime is how long a connection waits for the verdict on the one before. That comes at once, unless the machine is
// busy.
const weighTime = 100 * time.Millisecond

// awaitBefore waits until the path was judged by the connection before: it decides about the segments of this one.
func (conn *connection) awaitBefore() {
	before := conn.before
	if conn.before = nil; before == nil {
		return
	}
	select {
	case <-before.weighed:
	case <-time.After(weighTime):
	}
}

// weigh judges the path by the end of a connection on which the agent may have answered link_hello.
func (c *Client) weigh(conn *connection) {
	defer close(conn.weighed)
	if greeted := conn.greeted.Load(); greeted != nil && c.path.ended(time.Since(*greeted), c.config.Protocol.HeartbeatTimeout) {
		c.lowered()
	}
}

// lowered follows the decision to make segments smaller. Answers are asked for that are as small as can be.
func (c *Client) lowered() {
	if link, ok := c.keeper.link().(*v2Client); ok {
		link.askForLess()
	}
	c.config.Suspected()
}

// call calls one of the handshake's functions on a connection. It has no time limit of its own: the handshake abandons
// the connection of a call that takes too long.
func (c *Client) call(ctx context.Context, id handshake.ConnID, conn *rpc.Client, function handshake.Function) {
	replied := handshake.Replied{Conn: id, Function: function}
	var err error
	var name string
	switch function {
	case handshake.Hello:
		c.hello(ctx, id, conn)
		return
	case handshake.Retrieve:
		if link := c.keeper.link(); link != nil {
			link.events(ctx, id, conn)
		} else {
			c.pollBefore(ctx, id, conn)
		}
		return
	case handshake.IAmHere:
		name = FunctionIAmHere
		err = conn.Call(ctx, name, &replied.Known)
	case handshake.IAmReady:
		name = FunctionIAmReady
		err = conn.Call(ctx, name, nil)
	case handshake.Exit:
		name = FunctionExit
		err = conn.Call(ctx, name, nil)
	}
	reporter := reporter{post: c.loop.post, log: c.log}
	if !reporter.succeeded(ctx, id, function, name, err) {
		return
	}
	if function == handshake.IAmReady {
		c.config.Compare(ctx, handshake.Dialect(c.spoken.Load()), func(ctx context.Context, summary string) (answer string, err error) {
			err = conn.Call(ctx, route.FunctionSummary, &answer, summary)
			return answer, err
		})
	}
	c.loop.post(replied)
}

// hello calls link_hello. An agent without that function speaks the legacy dialect.
func (c *Client) hello(ctx context.Context, id handshake.ConnID, conn *rpc.Client) {
	protocol := c.config.Protocol
	hello := newHelloCall(c.instanceID, c.epoch.Load(), protocol.HeartbeatTimeout, protocol.KeepLink())
	var answer rpc.Raw
	began := time.Now()
	err := conn.Call(ctx, FunctionHello, &answer, hello.arguments()...)
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return // the connection's goroutine posts that
	}
	if errors.Is(err, rpc.ErrMethodNotFound) {
		c.log.Debug("the agent speaks the legacy dialect", zap.String("satellite", c.config.Peer))
		c.clock.Store(nil)
		if c.path.beginSmall() && c.keeper.connectAgain(id) {
			return
		}
		c.loop.post(handshake.CallFailed{Conn: id, Function: handshake.Hello})
		return
	}
	if err != nil {
		c.log.Warn("the agent answered an error", zap.String("function", FunctionHello), zap.Error(err))
		c.loop.post(handshake.Disconnected{Conn: id})
		return
	}
	welcome, err := readHelloAnswer(answer)
	if err != nil {
		c.log.Warn("the agent's answer cannot be read", zap.String("function", FunctionHello), zap.Error(err))
		c.loop.post(handshake.Disconnected{Conn: id})
		return
	}
	c.keeper.greet(id, time.Now())
	c.clock.Store(newPeerClock(welcome.clock, began, time.Since(began)))
	if link, ok := c.keeper.link().(*v2Client); ok && welcome.known && c.doubtful.Load() && !link.probe(ctx, id, conn) {
		return
	}
	c.loop.post(handshake.HelloReplied{Conn: id, InstanceID: welcome.instanceID, Known: welcome.known})
}

// peerClock is the satellite's clock as an agent told it.
type peerClock struct {
	// reading is what the clock showed.
	reading time.Time
	// read is when it showed that, up to within earlier or later. It has this board's monotonic clock, which goes on
	// evenly when the board's time is set.
	read   time.Time
	within time.Duration
}

// newPeerClock returns the clock of an answer to a call that began and took so long. It returns nil where the answer has
// no reading.
func newPeerClock(reading, began time.Time, took time.Duration) *peerClock {
	if reading.IsZero() {
		return nil
	}
	return &peerClock{reading: reading, read: began.Add(took / 2), within: took / 2}
}

// ahead returns how far the clock is ahead of this board's now. This board's clock may have been set since the reading.
func (c *peerClock) ahead(now time.Time) time.Duration {
	return c.reading.Add(now.Sub(c.read)).Sub(now)
}

// PeerClock returns how far the satellite's clock is ahead of this board's, and how exactly that is known. It is not known
// towards an agent that speaks the legacy dialect, of an older release, or without a system that can set the clock.
func (c *Client) PeerClock() (ahead, within time.Duration, known bool) {
	clock := c.clock.Load()
	if clock == nil {
		return 0, 0, false
	}
	return clock.ahead(time.Now()), clock.within, true
}

// newInstanceID returns a random instance id, never 0.
func newInstanceID() uint64 {
	var drawn [8]byte
	for {
		rand.Read(drawn[:]) // it never fails
		if id := binary.BigEndian.Uint64(drawn[:]); id != 0 {
			return id
		}
	}
}
