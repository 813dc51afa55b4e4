package main

import (
	"errors"
	"net"
	"sync"
	"time"
)

// forwarder is a part of the network that passes TCP connections on, and can hold them up or cut them. What it holds up is
// late, not lost.
type forwarder struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	running  sync.WaitGroup

	lock  sync.Mutex
	delay time.Duration
	// gates hold up every byte of a direction until they are closed; nil while nothing is held up.
	gates  [2]chan struct{}
	ends   map[net.Conn]bool
	closed bool
}

// The directions of a forwarder.
const (
	forth = iota // from who connects
	back
)

// newForwarder passes the connections of the listener on to where dial leads. close closes the listener.
func newForwarder(listener net.Listener, dial func() (net.Conn, error)) *forwarder {
	f := &forwarder{listener: listener, dial: dial, ends: map[net.Conn]bool{}}
	f.running.Go(f.accept)
	return f
}

func (f *forwarder) accept() {
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

func (f *forwarder) connect(near net.Conn) {
	far, err := f.dial()
	if err != nil {
		near.Close()
		return
	}
	f.lock.Lock()
	closed := f.closed
	f.ends[near], f.ends[far] = true, true
	f.lock.Unlock()
	if closed {
		near.Close()
		far.Close()
		return
	}
	f.running.Go(func() { f.pass(near, far, forth) })
	f.pass(far, near, back)
}

// held is what was read and has not been written.
type held struct {
	due  time.Time
	data []byte
}

// pass passes one direction on, the end included.
func (f *forwarder) pass(from, to net.Conn, direction int) {
	queue := make(chan held, 1024)
	f.running.Go(func() {
		defer func() {
			from.Close()
			to.Close()
			f.lock.Lock()
			delete(f.ends, to)
			f.lock.Unlock()
		}()
		for next := range queue {
			time.Sleep(time.Until(next.due))
			if gate := f.gate(direction); gate != nil {
				<-gate
			}
			if _, err := to.Write(next.data); err != nil {
				break
			}
		}
		for range queue { // whoever reads must not be held up
		}
	})
	defer close(queue)
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		f.lock.Lock()
		due := time.Now().Add(f.delay)
		f.lock.Unlock()
		queue <- held{due, append([]byte(nil), buffer[:count]...)}
	}
}

func (f *forwarder) gate(direction int) chan struct{} {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.gates[direction]
}

// slow delays every byte from now on.
func (f *forwarder) slow(delay time.Duration) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.delay = delay
}

// stall holds the directions up.
func (f *forwarder) stall(directions ...int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, direction := range directions {
		if f.gates[direction] == nil {
			f.gates[direction] = make(chan struct{})
		}
	}
}

// heal lets everything through.
func (f *forwarder) heal() {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.delay = 0
	for direction, gate := range f.gates {
		if gate != nil {
			close(gate)
			f.gates[direction] = nil
		}
	}
}

// cut ends every connection.
func (f *forwarder) cut() {
	f.lock.Lock()
	defer f.lock.Unlock()
	for end := range f.ends {
		end.Close()
	}
}

func (f *forwarder) close() {
	f.listener.Close()
	f.lock.Lock()
	f.closed = true
	f.lock.Unlock()
	f.heal()
	f.cut()
	f.running.Wait()
}
