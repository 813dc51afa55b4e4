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

// pipeCapacity is how many bytes one direction holds before a Write waits, as with a socket's buffers.
const pipeCapacity = 64 << 10

// Conn is one end of an in-memory connection.
type Conn struct {
	in, out       *direction
	local, remote Address
}

// Pipe returns the two ends of a connection in memory. Unlike a connection of net.Pipe, it holds up to 64 KiB of unread
// bytes each way, and each way can be closed alone. The faults in forward change what near writes, and those in
// backward change what far writes. Nil means no faults.
func Pipe(forward, backward Faults) (near, far *Conn) {
	there, back := newDirection(forward), newDirection(backward)
	near = &Conn{in: back, out: there, local: "client", remote: "server"}
	far = &Conn{in: there, out: back, local: "server", remote: "client"}
	return near, far
}

// Read waits until bytes have arrived and returns them.
func (c *Conn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write waits while the connection holds as many bytes as it can.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if errors.Is(err, errCut) {
		c.Cut()
		err = syscall.ECONNRESET
	}
	return n, err
}

// CloseWrite ends the direction from this end: the peer reads what was written and then io.EOF.
func (c *Conn) CloseWrite() error {
	c.out.finish(io.EOF, net.ErrClosed)
	return nil
}

// Close ends the connection: the peer reads what was written and then io.EOF, and can no longer write.
func (c *Conn) Close() error {
	c.out.finish(io.EOF, net.ErrClosed)
	c.in.abandon()
	return nil
}

// Cut breaks the connection: both ends fail at once with ECONNRESET, and bytes under way are lost.
func (c *Conn) Cut() {
	for _, d := range []*direction{c.in, c.out} {
		d.drop(syscall.ECONNRESET)
	}
}

// LocalAddr returns an Address.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns an Address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded from t on; the zero time is no deadline.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.readDeadline, t) }

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded from t on; the zero time is no deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writeDeadline, t) }

// direction is one direction of a connection.
type direction struct {
	mu     sync.Mutex
	faults Faults
	// change is closed and replaced whenever anything below changes.
	change   chan struct{}
	segments []segment
	size     int
	// readError is what Read returns behind the segments, writeError what Write returns; nil while the direction is
	// open.
	readError, writeError       error
	readDeadline, writeDeadline time.Time
}

// segment is bytes under way and the time of their arrival.
type segment struct {
	data []byte
	at   time.Time
}

func newDirection(faults Faults) *direction {
	return &direction{faults: faults, change: make(chan struct{})}
}

// changedLocked wakes every Read and Write that waits.
func (d *direction) changedLocked() {
	close(d.change)
	d.change = make(chan struct{})
}

// pause is what a Read or Write waits for before it tries again.
type pause struct {
	change <-chan struct{}
	// until are times at which the wait ends, zero for none.
	until [2]time.Time
}

func (p *pause) wait() {
	var first time.Time
	for _, t := range p.until {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		<-p.change
		return
	}
	timer := time.NewTimer(time.Until(first))
	defer timer.Stop()
	select {
	case <-p.change:
	case <-timer.C:
	}
}

func over(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

func (d *direction) read(b []byte) (int, error) {
	for {
		n, pause, err := d.tryRead(b)
		if pause == nil {
			return n, err
		}
		pause.wait()
	}
}

// tryRead returns a pause when nothing has arrived.
func (d *direction) tryRead(b []byte) (int, *pause, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var arrival time.Time
	switch {
	case over(d.readDeadline):
		return 0, nil, os.ErrDeadlineExceeded
	case len(d.segments) == 0 && d.readError != nil:
		return 0, nil, d.readError
	case len(d.segments) > 0:
		first := &d.segments[0]
		if !first.at.After(time.Now()) {
			n := copy(b, first.data)
			if first.data = first.data[n:]; len(first.data) == 0 {
				d.segments = d.segments[1:]
			}
			d.size -= n
			d.changedLocked()
			return n, nil, nil
		}
		arrival = first.at
	}
	return 0, &pause{change: d.change, until: [2]time.Time{d.readDeadline, arrival}}, nil
}

func (d *direction) write(b []byte) (written int, err error) {
	for {
		n, pause, err := d.tryWrite(b[written:])
		written += n
		if pause == nil {
			return written, err
		}
		pause.wait()
	}
}

// tryWrite returns a pause when the direction is full before all of b is written.
func (d *direction) tryWrite(b []byte) (written int, _ *pause, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case d.writeError != nil:
			return written, nil, d.writeError
		case over(d.writeDeadline):
			return written, nil, os.ErrDeadlineExceeded
		case written == len(b):
			return written, nil, nil
		case d.size < pipeCapacity:
			portion := b[written:min(len(b), written+pipeCapacity-d.size)]
			written += len(portion)
			if err := d.sendLocked(portion); err != nil {
				return written, nil, err
			}
		default:
			return written, &pause{change: d.change, until: [2]time.Time{d.writeDeadline}}, nil
		}
	}
}

// sendLocked puts bytes on their way, after the faults.
func (d *direction) sendLocked(b []byte) error {
	deliveries := []Delivery{{Data: b}}
	if d.faults != nil {
		deliveries = d.faults(b)
	}
	defer d.changedLocked()
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
	d.changedLocked()
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
	d.changedLocked()
}

// drop ends the direction at both ends at once.
func (d *direction) drop(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments, d.size = nil, 0
	d.readError, d.writeError = err, err
	d.changedLocked()
}

func (d *direction) setDeadline(which *time.Time, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	*which = t
	d.changedLocked()
	return nil
}
