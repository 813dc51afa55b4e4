// Package hostile is a satellite that was taken over: it agrees with a controller and then lies, in either dialect. It
// is a tool of tests. What must hold whatever it sends is in doc/security.md.
//
// It is written apart from package rpc and the real agent, so that it can send what those cannot.
package hostile

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Satellite listens for a controller. Until Tell it is a satellite at which nothing happens.
type Satellite struct {
	listener net.Listener
	config   *tls.Config
	legacy   bool
	running  sync.WaitGroup

	mu    sync.Mutex
	lie   *Lie
	conns map[*connection]bool
	over  bool

	// numbers counts events, told the answers that were lies.
	numbers, told atomic.Uint64
}

// Serve answers on the listener until Close. With a TLS configuration it proves an identity. legacy makes it answer as
// an agent that does not know link v2.
func Serve(listener net.Listener, config *tls.Config, legacy bool) *Satellite {
	s := &Satellite{listener: listener, config: config, legacy: legacy, conns: map[*connection]bool{}}
	s.running.Go(s.accept)
	return s
}

// Address is where the satellite listens.
func (s *Satellite) Address() net.Addr { return s.listener.Addr() }

// Tell makes the satellite tell a lie from now on; nil ends that. A lie about the agreement is told at once.
func (s *Satellite) Tell(lie *Lie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = lie
	if lie == nil || lie.atAgreement {
		for conn := range s.conns {
			conn.Close()
		}
	}
}

// Told is how many answers were lies.
func (s *Satellite) Told() uint64 { return s.told.Load() }

// Close ends the satellite and waits for that.
func (s *Satellite) Close() {
	s.mu.Lock()
	s.over = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Satellite) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		accepted := s.newConnection(conn)
		s.conns[accepted] = true
		if s.over {
			accepted.Close()
		}
		s.mu.Unlock()
		s.running.Go(func() {
			defer s.forget(accepted)
			accepted.serve()
		})
	}
}

func (s *Satellite) newConnection(conn net.Conn) *connection {
	if s.config != nil {
		conn = tls.Server(conn, s.config)
	}
	return &connection{Conn: conn, satellite: s, ended: make(chan struct{})}
}

func (s *Satellite) forget(conn *connection) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// current returns the lie of the moment, nil for none.
func (s *Satellite) current() *Lie {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lie
}

// connection is one connection of the controller.
type connection struct {
	net.Conn
	satellite *Satellite
	ended     chan struct{}
	writing   sync.Mutex
	// taken is set once a lie writes on its own.
	taken atomic.Bool
}

func (c *connection) serve() {
	var answering sync.WaitGroup
	defer answering.Wait()
	defer close(c.ended)
	defer c.Close()
	if lie := c.satellite.current(); lie != nil && lie.hangsUp {
		c.satellite.told.Add(1)
		return
	}
	reader := bufio.NewReader(c.Conn)
	for {
		called, err := readRequest(reader)
		if err != nil {
			return
		}
		if !called.notification {
			// A call of events waits, and others go on meanwhile.
			answering.Go(func() { c.answer(called) })
		}
	}
}

func (c *connection) answer(called request) {
	lie := c.satellite.current()
	if lie != nil && lie.takes(called.method) {
		c.satellite.told.Add(1)
		if lie.stream != nil {
			if !c.taken.Swap(true) {
				lie.stream(c, called.id)
			}
			return
		}
		if reply := lie.reply(c.satellite, called.id); reply != nil {
			c.send(reply)
			return
		}
		return // it is never answered
	}
	if reply := c.honest(called); reply != nil {
		c.send(reply)
	}
}

// honest is the answer of a satellite at which nothing happens.
func (c *connection) honest(called request) []byte {
	ok := func(result []byte) []byte { return response(called.id, nilValue, result) }
	if c.satellite.legacy && (strings.HasPrefix(called.method, "link_") || called.method == "tunnel_offer") {
		return response(called.id, text("rpclib: server could not find function '"+called.method+"' with argument count 5."), nilValue)
	}
	switch called.method {
	case "link_hello":
		return ok(array(number(2), number(4711), boolean(c.satellite.numbers.Load() > 0)))
	case "link_events":
		c.pause(100 * time.Millisecond)
		return ok(events())
	case "i_am_here":
		return ok(boolean(false))
	case "retrieve_vars_and_errors":
		return ok(text(`{"errors":[],"vars":[]}`))
	case "tunnel_offer":
		return ok(text(`{}`))
	case "link_status":
		return ok(text(`{}`))
	case "i_am_ready", "link_ping", "link_push", "exit":
		return ok(nilValue)
	}
	return ok(text("null"))
}

// pause waits, and no longer than the connection lasts.
func (c *connection) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.ended:
	}
}

// send writes bytes whole. It reports whether that worked.
func (c *connection) send(bytes []byte) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.Write(bytes)
	return err == nil
}

func response(id uint64, failure, result []byte) []byte {
	return append(append(append([]byte{0x94, 1}, number(id)...), failure...), result...)
}
