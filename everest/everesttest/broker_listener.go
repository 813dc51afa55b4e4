package everesttest

import (
	"log/slog"
	"net"
	"sync"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// brokerListener hands connections to the broker and, unlike the broker's own listeners, knows when all of them have ended.
type brokerListener struct {
	listener net.Listener
	serving  sync.WaitGroup

	mutex  sync.Mutex
	closed bool
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
	if !l.begin() {
		return
	}
	defer l.serving.Done()
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		if !l.begin() {
			conn.Close()
			return
		}
		go func() {
			defer l.serving.Done()
			defer conn.Close()
			// The broker reports a client's end as an error, whatever the reason. There is nobody to tell.
			_ = establish(l.ID(), conn)
		}()
	}
}

// begin counts one more goroutine, unless the listener is closed.
func (l *brokerListener) begin() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.closed {
		return false
	}
	l.serving.Add(1)
	return true
}

// Close implements listeners.Listener.
func (l *brokerListener) Close(closeClients listeners.CloseFn) {
	l.mutex.Lock()
	l.closed = true
	l.mutex.Unlock()
	l.listener.Close()
	closeClients(l.ID())
}

func (l *brokerListener) wait() { l.serving.Wait() }
