package transfer

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxConnections is how many connections one listener has open. 64 satellites, each with a retry, need fewer.
	maxConnections = 256
	// maxPending is how many connections may be open that have not logged in, for each board that is expected at their
	// address. A board needs one, which logs in at once. A connection beyond takes the place of another. Boards behind a
	// router that translates addresses have one address, and may connect at once.
	maxPending = 8
)

// limitedListener accepts connections only from expected addresses, and at most maxConnections. Where the places of an
// address, or all, are taken, a connection chosen at random that has not logged in makes room. Connections that are only
// held open can so not keep a board out.
type limitedListener struct {
	net.Listener
	// expects returns how many boards are expected at an address.
	expects func(netip.Addr) int

	mu   sync.Mutex
	open map[string]*openConn // by the peer's address and port
}

// openConn is an open connection.
type openConn struct {
	net.Conn
	address  netip.Addr
	loggedIn bool
}

func newLimitedListener(listener net.Listener, expects func(netip.Addr) int) *limitedListener {
	return &limitedListener{Listener: listener, expects: expects, open: map[string]*openConn{}}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if address, err := addressOf(conn.RemoteAddr()); err == nil {
			if boards := l.expects(address); boards > 0 && l.add(conn, address, boards) {
				return &countedConn{Conn: conn, listener: l}, nil
			}
		}
		conn.Close()
	}
}

// add adds a connection of an address where boards are expected. Another one may have to go for it. add reports false
// where all have logged in.
func (l *limitedListener) add(conn net.Conn, address netip.Addr, boards int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending := l.pendingLocked()
	var crowd []*openConn
	if own := pending[address]; len(own) >= maxPending*boards {
		crowd = own
	} else if len(l.open) >= maxConnections {
		for _, conns := range pending {
			if len(conns) > len(crowd) {
				crowd = conns
			}
		}
		if len(crowd) == 0 {
			return false
		}
	}
	if len(crowd) > 0 {
		dropped := crowd[rand.IntN(len(crowd))]
		delete(l.open, dropped.RemoteAddr().String())
		dropped.Close()
	}
	l.open[conn.RemoteAddr().String()] = &openConn{Conn: conn, address: address}
	return true
}

// pendingLocked returns the connections that have not logged in, by address.
func (l *limitedListener) pendingLocked() map[netip.Addr][]*openConn {
	pending := make(map[netip.Addr][]*openConn)
	for _, conn := range l.open {
		if !conn.loggedIn {
			pending[conn.address] = append(pending[conn.address], conn)
		}
	}
	return pending
}

// loggedIn notes that the client of the connection from an address and port has logged in.
func (l *limitedListener) loggedIn(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn := l.open[remote]; conn != nil {
		conn.loggedIn = true
	}
}

// remove forgets a connection. The system may have given its address and port to a new one already.
func (l *limitedListener) remove(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	remote := conn.RemoteAddr().String()
	if found := l.open[remote]; found != nil && found.Conn == conn {
		delete(l.open, remote)
	}
}

// closeConn closes the connection from an address and port.
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
