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

	mu   sync.Mutex
	open map[string]net.Conn // by the address of the other side
}

func newGuardedListener(listener net.Listener, expects func(netip.Addr) bool) *guardedListener {
	return &guardedListener{Listener: listener, expects: expects, open: map[string]net.Conn{}}
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
		l.mu.Lock()
		full := len(l.open) >= maxUploadConnections
		if !full {
			l.open[conn.RemoteAddr().String()] = conn
		}
		l.mu.Unlock()
		if !full {
			return &countedConn{Conn: conn, listener: l}, nil
		}
		conn.Close()
	}
}

// hangUp ends the connection from an address.
func (l *guardedListener) hangUp(remote string) error {
	l.mu.Lock()
	conn := l.open[remote]
	l.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}

type countedConn struct {
	net.Conn
	listener *guardedListener
	once     sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.listener.mu.Lock()
		defer c.listener.mu.Unlock()
		delete(c.listener.open, c.RemoteAddr().String())
	})
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
