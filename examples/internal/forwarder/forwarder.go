// Package forwarder is the network between two boards: it forwards TCP connections,
// and makes the faults of a network on request.
//
//	forwarded, err := forwarder.Listen("127.0.0.1:4129") // connect to its Port
//	forwarded.Stall(forwarder.ToServer)                  // hold one direction up
//	forwarded.Heal()                                     // what was held arrives
//	forwarded.Cut()                                      // end every connection
//
// What is held up is late, not lost. Flapping makes outages on several forwarders
// in turns.
package forwarder

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Forwarder forwards the connections of a listener. All methods are safe for
// concurrent use.
type Forwarder struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	running  sync.WaitGroup

	mu    sync.Mutex
	delay time.Duration
	// gates hold up every byte of a direction until they are closed; nil while
	// nothing is held up.
	gates [2]chan struct{}
	// refusing turns new connections away; reset ends connections by RST instead
	// of FIN.
	refusing, reset bool
	conns           map[net.Conn]bool
	closed          bool
}

// Direction is one of the two directions of every connection.
type Direction int

// The directions.
const (
	ToServer Direction = iota // from the side that connects
	ToClient
)

// New forwards the connections of the listener to where dial leads, until Close,
// which closes the listener too.
func New(listener net.Listener, dial func() (net.Conn, error)) *Forwarder {
	f := &Forwarder{listener: listener, dial: dial, conns: map[net.Conn]bool{}}
	f.running.Go(f.accept)
	return f
}

// Listen forwards connections from a port of the loopback interface to the address.
func Listen(address string) (*Forwarder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return New(listener, func() (net.Conn, error) { return net.Dial("tcp", address) }), nil
}

// Port returns the TCP port of the listener.
func (f *Forwarder) Port() int { return f.listener.Addr().(*net.TCPAddr).Port }

func (f *Forwarder) accept() {
	for {
		near, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		f.running.Go(func() { f.connect(near) })
	}
}

func (f *Forwarder) connect(near net.Conn) {
	if !f.add(near) {
		return
	}
	far, err := f.dial()
	if err != nil {
		f.remove(near)
		return
	}
	if !f.add(far) {
		f.remove(near)
		return
	}
	f.running.Go(func() { f.pass(near, far, ToServer) })
	f.pass(far, near, ToClient)
}

// add keeps a connection until remove. It returns false, and ends the connection,
// if the forwarder turns connections away.
func (f *Forwarder) add(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.refusing {
		f.hangUp(conn)
		return false
	}
	f.conns[conn] = true
	return true
}

func (f *Forwarder) remove(conn net.Conn) {
	conn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

// hangUp ends a connection, in the way of the outage.
func (f *Forwarder) hangUp(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok && f.reset {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// held is what was read and has not been written.
type held struct {
	due  time.Time
	data []byte
}

// pass forwards one direction, and its end.
func (f *Forwarder) pass(from, to net.Conn, direction Direction) {
	queue := make(chan held, 1024)
	f.running.Go(func() {
		defer f.remove(from)
		defer f.remove(to)
		for next := range queue {
			time.Sleep(time.Until(next.due))
			f.awaitGate(direction)
			if _, err := to.Write(next.data); err != nil {
				break
			}
		}
		for range queue { // the reader must not block
		}
		// The end of a connection is held up as its bytes are.
		f.awaitGate(direction)
	})
	defer close(queue)
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		f.mu.Lock()
		due := time.Now().Add(f.delay)
		f.mu.Unlock()
		queue <- held{due, append([]byte(nil), buffer[:count]...)}
	}
}

func (f *Forwarder) awaitGate(direction Direction) {
	f.mu.Lock()
	gate := f.gates[direction]
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// Slow delays every byte from now on.
func (f *Forwarder) Slow(delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = delay
}

// Stall holds the directions up, and reports whether there is a connection. New
// connections are accepted and held up too.
func (f *Forwarder) Stall(directions ...Direction) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, direction := range directions {
		if f.gates[direction] == nil {
			f.gates[direction] = make(chan struct{})
		}
	}
	return len(f.conns) > 0
}

// Cut ends every connection, and reports whether there was one.
func (f *Forwarder) Cut() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut()
}

func (f *Forwarder) cut() bool {
	had := len(f.conns) > 0
	for conn := range f.conns {
		f.hangUp(conn)
	}
	clear(f.conns)
	return had
}

// Refuse cuts every connection and turns new ones away until Heal, with reset by
// RST. It reports whether there was a connection.
func (f *Forwarder) Refuse(reset bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusing, f.reset = true, reset
	return f.cut()
}

// Heal ends every fault: what was held up arrives.
func (f *Forwarder) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay, f.refusing, f.reset = 0, false, false
	for direction, gate := range f.gates {
		if gate != nil {
			close(gate)
			f.gates[direction] = nil
		}
	}
}

// Close ends the forwarder and every connection, and waits for its goroutines.
func (f *Forwarder) Close() {
	f.listener.Close()
	f.mu.Lock()
	f.closed = true
	f.cut()
	f.mu.Unlock()
	f.Heal()
	f.running.Wait()
}
