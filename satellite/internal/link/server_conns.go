package link

import (
	"context"
	"slices"
	"sync"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// serverConns numbers the connections of the agent's server for the handshake, and holds the calls to which the
// handshake has not replied yet. The zero value is empty.
type serverConns struct {
	mu   sync.Mutex
	last handshake.ConnID
	open map[*rpc.Session]*serverConn
	// link is the number of the link's connection, which may have ended, 0 before the first.
	link handshake.ConnID
	held []*heldCall
	// replied calls wait for release: a session must know that it ends after a reply before the reply is sent.
	replied []*heldCall
}

type serverConn struct {
	id handshake.ConnID
	// version is the version of v2 that link_hello negotiated, 0 before.
	version uint64
}

// heldCall is a call of i_am_here, i_am_ready, exit or link_hello.
type heldCall struct {
	session  *rpc.Session
	id       handshake.ConnID
	function handshake.Function
	known    bool
	done     chan struct{}
}

// begin numbers a connection.
func (c *serverConns) begin(session *rpc.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[*rpc.Session]*serverConn)
	}
	c.last++
	c.open[session] = &serverConn{id: c.last}
}

// end forgets a connection and returns its number, 0 where it had none.
func (c *serverConns) end(session *rpc.Session) handshake.ConnID {
	id, _ := c.find(session)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, session)
	return id
}

// find returns the number of a connection, and the version of v2 that was negotiated on it.
func (c *serverConns) find(session *rpc.Session) (id handshake.ConnID, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.open[session]; found != nil {
		return found.id, found.version
	}
	return 0, 0
}

// session returns a connection by its number, nil where it has ended.
func (c *serverConns) session(id handshake.ConnID) *rpc.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionLocked(id)
}

func (c *serverConns) sessionLocked(id handshake.ConnID) *rpc.Session {
	for session, conn := range c.open {
		if conn.id == id {
			return session
		}
	}
	return nil
}

// take makes a connection the link's. It returns the connection, nil where it is the link's already or has ended.
func (c *serverConns) take(id handshake.ConnID) *rpc.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == id {
		return nil
	}
	c.link = id
	return c.sessionLocked(id)
}

// linked reports whether there was a connection of the link.
func (c *serverConns) linked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != 0
}

// speak keeps the version that was negotiated on a connection.
func (c *serverConns) speak(session *rpc.Session, version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.open[session]; found != nil {
		found.version = version
	}
}

// hold posts a call to the handshake and waits for the reply. For i_am_here and link_hello, known reports whether the
// controller was known already. The error is rpc.NoReply where the connection or the protocol has ended.
func (c *serverConns) hold(ctx context.Context, function handshake.Function, loop *loop, event func(handshake.ConnID) handshake.Event) (known bool, err error) {
	call := &heldCall{session: rpc.SessionFrom(ctx), function: function, done: make(chan struct{})}
	call.id, _ = c.find(call.session)
	c.mu.Lock()
	c.held = append(c.held, call)
	c.mu.Unlock()
	defer c.forget(call)

	loop.post(event(call.id))
	select {
	case <-call.done:
	case <-loop.ended:
	case <-ctx.Done():
	}
	// Both may have happened: a reply that was given goes out.
	if closed(call.done) {
		return call.known, nil
	}
	return false, rpc.NoReply
}

func (c *serverConns) forget(call *heldCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = slices.DeleteFunc(c.held, func(other *heldCall) bool { return other == call })
}

// reply gives the handshake's reply to the calls that wait for it. These calls return after release.
func (c *serverConns) reply(action handshake.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = slices.DeleteFunc(c.held, func(call *heldCall) bool {
		if call.function != action.Function || call.id != action.Conn {
			return false
		}
		call.known = action.Known
		c.replied = append(c.replied, call)
		return true
	})
}

// closeAfterReply closes a connection after the replies that were just given.
func (c *serverConns) closeAfterReply(id handshake.ConnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.replied {
		if call.id == id {
			call.session.CloseAfterReply()
		}
	}
}

// release lets the calls with a reply return.
func (c *serverConns) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.replied {
		close(call.done)
	}
	c.replied = nil
}

// closeNow closes a connection at once.
func (c *serverConns) closeNow(id handshake.ConnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if session := c.sessionLocked(id); session != nil {
		session.Close()
	}
}
