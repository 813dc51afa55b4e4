package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// Outage is a way in which a link goes away.
type Outage int

// The outages of -flap, in the order in which they take turns.
const (
	// OutageClosed ends the connections in order, as a proxy that is restarted
	// does. Who connects meanwhile is turned away the same way.
	OutageClosed Outage = iota
	// OutageReset ends them at once, as a peer that lost its state does.
	OutageReset
	// OutageSilent tells nobody: what is sent is held up, and goes on its way when
	// the outage is over, also the end of a connection.
	OutageSilent
	outages
)

func (o Outage) String() string { return [...]string{"closed", "reset", "silent"}[o] }

// dialLimit is how long connecting to an agent on this machine may take.
const dialLimit = 5 * time.Second

// Wire is the network between a controller and its agent: a forwarder of TCP
// connections that can be cut. All methods may be called from any goroutine.
type Wire struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup
	closed   context.Context
	end      context.CancelFunc

	lock sync.Mutex
	// away is closed when the outage is over; nil while there is none.
	away   chan struct{}
	outage Outage
	ends   map[*net.TCPConn]bool
}

// NewWire forwards what comes to Port of the loopback interface to the address.
func NewWire(to string) (*Wire, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(agentAddress, "0"))
	if err != nil {
		return nil, err
	}
	w := &Wire{listener: listener, to: to, ends: map[*net.TCPConn]bool{}}
	w.closed, w.end = context.WithCancel(context.Background())
	w.running.Go(w.accept)
	return w, nil
}

// Port is where the controller finds the wire.
func (w *Wire) Port() int { return w.listener.Addr().(*net.TCPAddr).Port }

// Cut begins an outage, and returns whether a connection was there to be cut.
func (w *Wire) Cut(outage Outage) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.heal()
	w.away, w.outage = make(chan struct{}), outage
	stood := len(w.ends) > 0
	if outage != OutageSilent {
		w.hangUp()
	}
	return stood
}

// Heal ends the outage.
func (w *Wire) Heal() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.heal()
}

func (w *Wire) heal() {
	if w.away != nil {
		close(w.away)
		w.away = nil
	}
}

// hangUp ends every connection, in the way of the outage.
func (w *Wire) hangUp() {
	for end := range w.ends {
		w.hangUpOne(end)
	}
}

func (w *Wire) hangUpOne(end *net.TCPConn) {
	if w.away != nil && w.outage == OutageReset {
		_ = end.SetLinger(0) // the peer sees a reset then
	}
	end.Close()
	delete(w.ends, end)
}

// Close ends the wire and every connection on it.
func (w *Wire) Close() {
	w.listener.Close()
	w.end()
	w.lock.Lock()
	w.hangUp()
	w.lock.Unlock()
	w.running.Wait()
}

func (w *Wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.running.Go(func() { w.carry(near.(*net.TCPConn)) })
	}
}

// carry joins a controller's connection with one to the agent, until either ends.
func (w *Wire) carry(near *net.TCPConn) {
	if !w.hold(near) || !w.pass() {
		near.Close()
		return
	}
	defer w.drop(near)
	dialer := net.Dialer{Timeout: dialLimit}
	connection, err := dialer.DialContext(w.closed, "tcp", w.to)
	if err != nil {
		return
	}
	far := connection.(*net.TCPConn)
	if !w.hold(far) {
		return
	}
	defer w.drop(far)
	var back sync.WaitGroup
	back.Go(func() { w.forward(far, near) })
	w.forward(near, far)
	back.Wait()
}

// hold keeps an end until it is dropped or cut. While the link is away it is
// turned away instead.
func (w *Wire) hold(end *net.TCPConn) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.ends[end] = true
	if w.closed.Err() != nil || w.away != nil && w.outage != OutageSilent {
		w.hangUpOne(end)
		return false
	}
	return true
}

func (w *Wire) drop(end *net.TCPConn) {
	w.lock.Lock()
	defer w.lock.Unlock()
	end.Close()
	delete(w.ends, end)
}

// pass waits while the link is silent; false means that it will not speak again.
func (w *Wire) pass() bool {
	w.lock.Lock()
	away := w.away
	w.lock.Unlock()
	if away == nil {
		return true
	}
	select {
	case <-away:
		return true
	case <-w.closed.Done():
		return false
	}
}

// forward carries one direction to its end, and the end too.
func (w *Wire) forward(from, to *net.TCPConn) {
	chunk := make([]byte, 64<<10)
	for {
		count, err := from.Read(chunk)
		if !w.pass() {
			return
		}
		if count > 0 {
			if _, err := to.Write(chunk[:count]); err != nil {
				w.drop(from)
				return
			}
		}
		if err != nil {
			// Only one direction has ended: what is under way in the other one arrives.
			_ = to.CloseWrite()
			return
		}
	}
}
