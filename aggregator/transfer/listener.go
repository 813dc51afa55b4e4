package transfer

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxConnections bounds the open connections of one listener; further ones are closed at once. 64 satellites, each with
// a retry, need fewer.
const maxConnections = 256

// limitedListener accepts connections only from expected addresses, and at most maxConnections.
type limitedListener struct {
	net.Listener
	expects func(netip.Addr) bool

	mu   sync.Mutex
	open map[string]net.Conn // by the peer's address
}

func newLimitedListener(listener net.Listener, expects func(netip.Addr) bool) *limitedListener {
	return &limitedListener{Listener: listener, expects: expects, open: map[string]net.Conn{}}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address, err := addressOf(conn.RemoteAddr())
		if err == nil && l.expects(address) && l.add(conn) {
			return &countedConn{Conn: conn, listener: l}, nil
		}
		conn.Close()
	}
}

// add counts a connection, and reports whether there is room for it.
func (l *limitedListener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= maxConnections {
		return false
	}
	l.open[conn.RemoteAddr().String()] = conn
	return true
}

func (l *limitedListener) remove(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, conn.RemoteAddr().String())
}

// closeConn closes the connection from an address.
func (l *limitedListener) closeConn(remote string) error {
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
	listener *limitedListener
	once     sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.listener.remove(c.Conn) })
	return c.Conn.Close()
}

// stallConn is a connection whose reads fail when nothing arrives for the timeout.
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
