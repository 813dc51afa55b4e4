package everesttest

import (
	"log/slog"
	"net"
	"sync"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// brokerListener hands connections to the broker and, unlike the broker's own listeners, ends when all of them have ended.
type brokerListener struct {
	listener net.Listener
	serving  sync.WaitGroup

	mutex  sync.Mutex
	closed bool
	// conns are open; the broker itself does not know those that have not said who they are.
	conns map[net.Conn]bool
}

// Init implements listeners.Listener.
func (l *brokerListener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *brokerListener) ID() string { return "everesttest" }

// Address implements listeners.Listener.
func (l *brokerListener) Address() string { return l.listener.Addr().String() }

// Protocol implements listeners.Listener.
func (l *brokerListener) Protocol() string { return l.listener.Addr().Network() }

// Serve implements listeners.Listener.
func (l *brokerListener) Serve(establish listeners.EstablishFn) {
	if !l.begin(nil) {
		return
	}
	defer l.serving.Done()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		if !l.begin(conn) {
			conn.Close()
			return
		}
		go func() {
			defer l.end(conn)
			// The broker reports a client's end as an error, whatever the reason. There is nobody to tell.
			_ = establish(l.ID(), conn)
		}()
	}
}

// begin counts one more goroutine, unless the listener is closed.
func (l *brokerListener) begin(conn net.Conn) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.closed {
		return false
	}
	if conn != nil {
		l.conns[conn] = true
	}
	l.serving.Add(1)
	return true
}

func (l *brokerListener) end(conn net.Conn) {
	conn.Close()
	l.mutex.Lock()
	delete(l.conns, conn)
	l.mutex.Unlock()
	l.serving.Done()
}

// Close implements listeners.Listener. It returns when no connection is served any more, because the broker then waits for
// its clients and does not expect another one to come meanwhile. It closes the connections itself: the broker's way to do
// that takes a read lock twice, which hangs for ever when a client that leaves just then asks for the write lock in between.
func (l *brokerListener) Close(listeners.CloseFn) {
	l.listener.Close()
	l.mutex.Lock()
	l.closed = true
	for conn := range l.conns {
		conn.Close()
	}
	l.mutex.Unlock()
	l.serving.Wait()
}
