package aggregator

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxUploadConnections bounds what anybody can hold open at a listener. 64 satellites, each with a retry, stay below.
const maxUploadConnections = 256

// guardedListener accepts only from addresses that somebody is expected from, and not without bound.
type guardedListener struct {
	net.Listener
	expects func(netip.Addr) bool
	slots   chan struct{}
}

func newGuardedListener(listener net.Listener, expects func(netip.Addr) bool) *guardedListener {
	return &guardedListener{Listener: listener, expects: expects, slots: make(chan struct{}, maxUploadConnections)}
}

func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address, err := addressOf(conn.RemoteAddr())
		if err != nil || !l.expects(address) {
			conn.Close()
			continue
		}
		select {
		case l.slots <- struct{}{}:
			return &countedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			conn.Close()
		}
	}
}

type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// stallConn ends a connection from which nothing comes for the time-out.
type stallConn struct {
	net.Conn
	timeout time.Duration
}

func (c stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
