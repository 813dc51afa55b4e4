package rpctest

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Listener is a net.Listener in memory. Its connections are made by Pipe, so that a test controls their faults. Under
// testing/synctest, delays and deadlines use the fake clock.
type Listener struct {
	name   string
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Address is the name of an end of an in-memory connection.
type Address string

// Network returns "memory".
func (Address) Network() string { return "memory" }

// String returns the name.
func (a Address) String() string { return string(a) }

// Listen returns a listener. The name is its address.
func Listen(name string) *Listener {
	return &Listener{name: name, queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close makes Accept and Dial fail. Existing connections stay open. It may be called more than once.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the listener's name as an Address.
func (l *Listener) Addr() net.Addr { return Address(l.name) }

var errRefused = errors.New("connection refused")

// Dial connects to the listener. toServer and toClient are the faults of the two directions, nil for none.
func (l *Listener) Dial(ctx context.Context, toServer, toClient Faults) (net.Conn, error) {
	near, far := Pipe(toServer, toClient)
	near.remote, far.local = Address(l.name), Address(l.name)
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: errRefused}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
