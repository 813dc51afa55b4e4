package rpctest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeCapacity is how many bytes one direction holds before a writer waits, as a socket's buffers do.
const pipeCapacity = 64 << 10

// Conn is one end of an in-memory connection.
type Conn struct {
	in, out       *direction
	local, remote Address
}

// Pipe makes a connection in memory. Other than net.Pipe it holds bytes that were written and not yet read, it can be
// closed one way, and faults can be injected: forward applies to what near writes, backward to what far writes; nil is a
// perfect connection.
func Pipe(forward, backward Faults) (near, far *Conn) {
	there, back := newDirection(forward), newDirection(backward)
	near = &Conn{in: back, out: there, local: "client", remote: "server"}
	far = &Conn{in: there, out: back, local: "server", remote: "client"}
	return near, far
}

// Read reads what has arrived.
func (c *Conn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write writes, and waits when the peer does not read.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if errors.Is(err, errCut) {
		c.Cut()
		err = syscall.ECONNRESET
	}
	return n, err
}

// CloseWrite ends one direction: the peer reads what was written and then the end of the stream.
func (c *Conn) CloseWrite() error {
	c.out.finish(io.EOF, net.ErrClosed)
	return nil
}

// Close ends the connection: the peer reads what was written and then the end of the stream, and can no longer write.
func (c *Conn) Close() error {
	c.out.finish(io.EOF, net.ErrClosed)
	c.in.abandon()
	return nil
}

// Cut breaks the connection: both ends fail at once with ECONNRESET and what was under way is lost.
func (c *Conn) Cut() {
	for _, d := range []*direction{c.in, c.out} {
		d.drop(syscall.ECONNRESET)
	}
}

// LocalAddr is a name.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is a name.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline has a Read fail with os.ErrDeadlineExceeded from t on; the zero time is none.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.readDeadline, t) }

// SetWriteDeadline has a Write fail with os.ErrDeadlineExceeded from t on; the zero time is none.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writeDeadline, t) }

// direction is the way from one end to the other.
type direction struct {
	mu     sync.Mutex
	faults Faults
	// change is closed and replaced whenever anything below changes.
	change   chan struct{}
	segments []segment
	size     int
	// readError is what a reader gets behind the segments, writeError what a writer gets.
	readError, writeError       error
	readDeadline, writeDeadline time.Time
}

// segment are bytes under way.
type segment struct {
	data []byte
	at   time.Time
}

func newDirection(faults Faults) *direction {
	return &direction{faults: faults, change: make(chan struct{})}
}

// changed wakes everybody who waits; mu is held.
func (d *direction) changed() {
	close(d.change)
	d.change = make(chan struct{})
}

// wait waits for a change, or until one of the times that are not zero; mu is held before and after.
func (d *direction) wait(until ...time.Time) {
	var first time.Time
	for _, t := range until {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	change := d.change
	d.mu.Unlock()
	defer d.mu.Lock()
	if first.IsZero() {
		<-change
		return
	}
	timer := time.NewTimer(time.Until(first))
	defer timer.Stop()
	select {
	case <-change:
	case <-timer.C:
	}
}

func over(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

func (d *direction) read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		var arrival time.Time
		switch {
		case over(d.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(d.segments) == 0 && d.readError != nil:
			return 0, d.readError
		case len(d.segments) > 0:
			first := &d.segments[0]
			if !first.at.After(time.Now()) {
				n := copy(b, first.data)
				if first.data = first.data[n:]; len(first.data) == 0 {
					d.segments = d.segments[1:]
				}
				d.size -= n
				d.changed()
				return n, nil
			}
			arrival = first.at
		}
		d.wait(d.readDeadline, arrival)
	}
}

func (d *direction) write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	written := 0
	for {
		switch {
		case d.writeError != nil:
			return written, d.writeError
		case over(d.writeDeadline):
			return written, os.ErrDeadlineExceeded
		case written == len(b):
			return written, nil
		case d.size < pipeCapacity:
			portion := b[written:min(len(b), written+pipeCapacity-d.size)]
			written += len(portion)
			if err := d.send(portion); err != nil {
				return written, err
			}
		default:
			d.wait(d.writeDeadline)
		}
	}
}

// send puts bytes on their way.
func (d *direction) send(b []byte) error {
	deliveries := []Delivery{{Data: b}}
	if d.faults != nil {
		deliveries = d.faults(b)
	}
	defer d.changed()
	for _, delivery := range deliveries {
		if delivery.Cut {
			return errCut
		}
		at := time.Now().Add(delivery.Delay)
		if last := len(d.segments) - 1; last >= 0 && d.segments[last].at.After(at) {
			// A stream keeps its order.
			at = d.segments[last].at
		}
		if len(delivery.Data) > 0 {
			d.segments = append(d.segments, segment{data: append([]byte(nil), delivery.Data...), at: at})
			d.size += len(delivery.Data)
		}
	}
	return nil
}

// finish ends the direction behind what was written.
func (d *direction) finish(readError, writeError error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readError == nil {
		d.readError, d.writeError = readError, writeError
	}
	d.changed()
}

// abandon ends the direction at its reader.
func (d *direction) abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writeError == nil {
		d.writeError = syscall.EPIPE
	}
	d.segments, d.size = nil, 0
	d.readError = net.ErrClosed
	d.changed()
}

// drop ends the direction at both ends at once.
func (d *direction) drop(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments, d.size = nil, 0
	d.readError, d.writeError = err, err
	d.changed()
}

func (d *direction) setDeadline(which *time.Time, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	*which = t
	d.changed()
	return nil
}
