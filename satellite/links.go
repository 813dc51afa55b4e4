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
	// session is that of a v2 link, also while no connection stands.
	session  *linkSession
	isolated bool
	// over: no connection will stand any more.
	over    bool
	dialect handshake.Dialect
	// end is how the newest connection ended, nil while it stands or when it was
	// ended here.
	end error
	// changed is closed at the next change; nil while nobody waits for it.
	changed chan struct{}
}

// link is one connection, or the attempt to make it.
type link struct {
	number handshake.ConnID
	// ctx ends when the link is abandoned.
	ctx    context.Context
	cancel context.CancelFunc
	client *rpc.Client // set under the lock of links once it stands
}

func (l *links) open(number handshake.ConnID) *link {
	ctx, cancel := context.WithCancel(context.Background())
	opened := &link{number: number, ctx: ctx, cancel: cancel}
	l.lock.Lock()
	defer l.lock.Unlock()
	l.newest, l.agreed = opened, false
	l.notify()
	return opened
}

// abandon ends the connection or the attempt.
func (l *links) abandon(number handshake.ConnID) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest != nil && l.newest.number == number {
		l.newest.cancel()
		l.newest, l.agreed = nil, false
		l.notify()
	}
}

// lastEnd returns how the newest connection ended, nil when that was done here.
func (l *links) lastEnd() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.end
}

// of returns the open link of that number, or nil.
func (l *links) of(number handshake.ConnID) *link {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest == nil || l.newest.number != number {
		return nil
	}
	return l.newest
}

// agree says that work functions may be called on the newest link: legacy ones
// where the session is nil.
func (l *links) agree(session *linkSession) *link {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.agreed, l.isolated, l.session = true, false, session
	l.notify()
	return l.newest
}

// isolate ends the session: nobody waits for its connection any more.
func (l *links) isolate() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.agreed, l.isolated, l.session = false, true, nil
	l.notify()
}

// settle follows the handshake after each of its steps.
func (l *links) settle(state handshake.State, dialect handshake.Dialect) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.dialect = dialect
	switch state {
	case handshake.Parted, handshake.Leaving, handshake.Ended:
		if !l.over {
			l.over = true
			l.notify()
		}
	}
}

func (l *links) notify() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// passage is how a command gets to the satellite at the moment.
type passage struct {
	client *rpc.Client
	// link is the client's; session is nil on a legacy link.
	link     *link
	session  *linkSession
	isolated bool
	// changed is set when a v2 link is about to be resumed: then the client is
	// nil, and it is closed when that may have happened.
	changed <-chan struct{}
}

func (l *links) passage() passage {
	l.lock.Lock()
	defer l.lock.Unlock()
	p := passage{session: l.session, isolated: l.isolated}
	switch {
	case l.agreed && l.newest != nil && l.newest.client != nil && l.newest.client.Err() == nil:
		p.client, p.link = l.newest.client, l.newest
	case l.session != nil && !l.over:
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		p.changed = l.changed
	}
	return p
}

// speaks returns the dialect of the newest link, as far as it is known.
func (l *links) speaks() (handshake.Dialect, bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.dialect, l.agreed || l.session != nil
}

// dialectNow returns what is spoken on the newest link, as far as it is found out.
func (l *links) dialectNow() handshake.Dialect {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.dialect
}

// working returns the connection on which work functions may be called, or nil.
func (l *links) working() *rpc.Client {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.newest == nil || !l.agreed || l.newest.client == nil || l.newest.client.Err() != nil {
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

// logRefusal logs why there is no connection, at the level Info only where the
// reason is a new one: an agent may be away for long.
func (c *Controller) logRefusal(err error) {
	err = c.dialer.Explain(err)
	reason := err.Error()
	if last := c.refusal.Swap(&reason); last != nil && *last == reason {
		c.log.Debug("no agent yet, for the same reason", zap.String("satellite", c.address()), zap.Error(err))
		return
	}
	c.log.Info("no agent yet", zap.String("satellite", c.address()), zap.Error(err))
}

// trustChanged closes the connection of a satellite that is not trusted any more.
func (c *Controller) trustChanged() {
	if client := c.links.standing(); client != nil {
		c.dialer.Recognise(client)
	}
}

// connect makes a connection, watches it to its end, and closes it when the link
// is abandoned.
func (c *Controller) connect(attempt *link) {
	defer attempt.cancel()
	client, err := c.dial(attempt.ctx)
	if err != nil {
		if attempt.ctx.Err() == nil {
			c.logRefusal(err)
		}
		c.loop.post(handshake.ConnectFailed{Conn: attempt.number})
		return
	}
	defer client.Close()
	c.links.lock.Lock()
	attempt.client, c.links.end = client, nil
	c.links.lock.Unlock()
	// Trust that was withdrawn since the handshake has not found this connection.
	c.dialer.Recognise(client)
	c.loop.post(handshake.Connected{Conn: attempt.number})
	select {
	case <-client.Done():
		c.connectionEnded(attempt, client.Err())
		c.dialer.LogEnd(c.address(), client.Err())
		c.loop.post(handshake.Disconnected{Conn: attempt.number})
	case <-attempt.ctx.Done():
	case <-c.loop.ended:
	}
}

// connectionEnded logs the end of a connection that the agent, or the network,
// has made. That of a link is the handshake's to tell.
func (c *Controller) connectionEnded(attempt *link, end error) {
	c.links.lock.Lock()
	if c.links.newest == attempt {
		c.links.end = end
	}
	c.links.lock.Unlock()
	if _, agreed := c.links.speaks(); !agreed {
		c.logRefusal(end)
	}
	c.log.Debug("connection ended", zap.String("satellite", c.address()), zap.Error(end))
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
	if function == handshake.Hello {
		c.greet(link)
		return
	}
	c.links.lock.Lock()
	client := link.client
	c.links.lock.Unlock()
	var known bool
	var events string
	var name string
	var reply any
	switch function {
	case handshake.IAmHere:
		name, reply = FunctionIAmHere, &known
	case handshake.IAmReady:
		name = FunctionIAmReady
	case handshake.Retrieve:
		name, reply = FunctionRetrieve, &events
	case handshake.Exit:
		name = FunctionExit
	}
	began := time.Now()
	err := client.Call(link.ctx, name, reply)
	switch {
	case errors.Is(err, net.ErrClosed), link.ctx.Err() != nil:
		// The watch of the connection says so.
	case err != nil:
		c.log.Warn("the agent answered an error", zap.String("function", name), zap.Error(err))
		c.loop.post(handshake.CallFailed{Conn: link.number, Function: function})
	default:
		switch function {
		case handshake.Retrieve:
			c.roundTrips.Add(time.Since(began))
			c.deliver(events)
		case handshake.IAmReady:
			c.compareTables(link, client)
		}
		c.loop.post(handshake.Replied{Conn: link.number, Function: function, Known: known})
	}
}
