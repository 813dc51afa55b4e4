package satellite

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// publishTimeout bounds publishing what one answer brought; a broker that takes
// longer is as good as gone.
const publishTimeout = 30 * time.Second

// links keeps the controller's newest connection: at most one is open. The zero
// value has none.
type links struct {
	lock   sync.Mutex
	newest *link
	agreed bool
}

// link is one connection, or the attempt to make it.
type link struct {
	number handshake.Link
	// ctx ends when the link is abandoned.
	ctx    context.Context
	cancel context.CancelFunc
	client *rpc.Client // set under the lock of links once it stands
}

func (l *links) open(number handshake.Link) *link {
	ctx, cancel := context.WithCancel(context.Background())
	opened := &link{number: number, ctx: ctx, cancel: cancel}
	l.lock.Lock()
	defer l.lock.Unlock()
	l.newest, l.agreed = opened, false
	return opened
}

// abandon ends the connection or the attempt.
func (l *links) abandon(number handshake.Link) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest != nil && l.newest.number == number {
		l.newest.cancel()
		l.newest, l.agreed = nil, false
	}
}

// of returns the open link of that number, or nil.
func (l *links) of(number handshake.Link) *link {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest == nil || l.newest.number != number {
		return nil
	}
	return l.newest
}

// agree says that work functions may be called on the newest link.
func (l *links) agree() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.agreed = true
}

// working returns the connection on which work functions may be called, or nil.
func (l *links) working() *rpc.Client {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest == nil || !l.agreed || l.newest.client == nil || l.newest.client.State() != rpc.Connected {
		return nil
	}
	return l.newest.client
}

// standing returns the newest connection whether it works or not, or nil.
func (l *links) standing() *rpc.Client {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest == nil {
		return nil
	}
	return l.newest.client
}

// connect makes a connection, watches it to its end, and closes it when the link
// is abandoned.
func (c *Controller) connect(attempt *link) {
	defer attempt.cancel()
	client, err := rpc.Dial(attempt.ctx, c.address(), rpc.Config{InsecurePlaintext: true, Logger: c.config.Logger})
	if err != nil {
		if attempt.ctx.Err() == nil {
			c.log.Info("no agent yet", zap.String("satellite", c.address()), zap.Error(err))
		}
		c.loop.post(handshake.ConnectFailed{Link: attempt.number})
		return
	}
	defer client.Close()
	c.links.lock.Lock()
	attempt.client = client
	c.links.lock.Unlock()
	c.loop.post(handshake.Connected{Link: attempt.number})
	select {
	case <-client.Done():
		c.log.Warn("link ended", zap.String("satellite", c.address()), zap.Error(client.Err()))
		c.loop.post(handshake.LinkLost{Link: attempt.number})
	case <-attempt.ctx.Done():
	case <-c.loop.ended:
	}
}

// deliver publishes what was handed over, whatever becomes of the link meanwhile:
// the agent has forgotten it.
func (c *Controller) deliver(events string) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	c.relay.deliver(ctx, events)
}

// call calls one of the handshake's functions. The handshake limits its time:
// it abandons the link.
func (c *Controller) call(link *link, function handshake.Function) {
	c.links.lock.Lock()
	client := link.client
	c.links.lock.Unlock()
	var known bool
	var events string
	var reply any
	switch function {
	case handshake.IAmHere:
		reply = &known
	case handshake.Retrieve:
		reply = &events
	}
	err := client.Call(link.ctx, function.String(), reply)
	switch {
	case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
		// The watch of the connection says so.
	case err != nil:
		c.log.Warn("the agent answered an error", zap.Stringer("function", function), zap.Error(err))
		c.loop.post(handshake.CallFailed{Link: link.number, Function: function})
	default:
		if function == handshake.Retrieve {
			c.deliver(events)
		}
		c.loop.post(handshake.Answered{Link: link.number, Function: function, Known: known})
	}
}
