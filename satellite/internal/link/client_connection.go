package link

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// connect makes a connection, executes the work queued for it, and waits for its end. It closes an abandoned
// connection.
func (c *Client) connect(ctx context.Context, conn *connection) {
	defer conn.cancel()
	client, err := c.config.Dial(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.config.NotConnected(err)
		}
		c.loop.post(handshake.ConnectFailed{Conn: conn.id})
		return
	}
	var working sync.WaitGroup
	defer func() {
		conn.cancel()
		client.Close()
		working.Wait()
	}()
	c.keeper.connected(conn, client)
	c.config.Connected(client)
	c.loop.post(handshake.Connected{Conn: conn.id})
	for {
		select {
		case work := <-conn.work:
			working.Go(func() { work(ctx, client) })
		case <-client.Done():
			c.disconnected(conn, client.Err())
			return
		case <-ctx.Done():
			return
		case <-c.loop.ended:
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
	hello := newHelloCall(c.instanceID, c.epoch.Load(), protocol.HeartbeatTimeout, protocol.ResumeWindow)
	var answer rpc.Raw
	err := conn.Call(ctx, FunctionHello, &answer, hello.arguments()...)
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return // the connection's goroutine posts that
	}
	if errors.Is(err, rpc.ErrMethodNotFound) {
		c.log.Debug("the agent speaks the legacy dialect", zap.String("satellite", c.config.Peer))
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
	c.loop.post(handshake.HelloReplied{Conn: id, InstanceID: welcome.instanceID, Known: welcome.known})
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
