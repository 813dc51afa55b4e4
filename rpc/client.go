package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Client calls the functions of one server over one connection. All methods may be used from many goroutines at once, and
// calls do not wait for one another: replies may come in any order.
//
// The waiting caller reads its own reply where that can be; see client_reader.go.
type Client struct {
	conn   net.Conn
	config Config
	out    outbox
	ack    *acknowledger

	mu    sync.Mutex
	calls callTable
	// reading says that a goroutine has the reader's role: it alone may use in and deadline.
	reading bool
	// activity counts calls, so that the watcher sees whether there were any.
	activity uint64
	// dispatching says that the reader runs functions given to Start, and writes what they begin.
	dispatching bool
	// change is closed when a call has ended while others wait to begin; nil while nobody waits.
	change chan struct{}
	err    error

	in inbox
	// deadline is what the read deadline of conn was last set to.
	deadline time.Time

	// wake calls the watcher to the reader's role.
	wake chan struct{}
	done chan struct{}
	// watching and waiting are what Close waits for: the watcher, and the calls that were begun with Go.
	watching sync.WaitGroup
	waiting  sync.WaitGroup
	objects  sync.Pool
	// replies are those that were read and wait for mu; the reader alone uses it.
	replies [replyBatch]reply
}

// NewClient makes a client of a connection that is already up, of any kind: a TCP or Unix socket, TLS, net.Pipe. The
// client owns it from now on.
func NewClient(conn net.Conn, config Config) *Client {
	return newClient(conn, config.withDefaults())
}

func newClient(conn net.Conn, config Config) *Client {
	c := &Client{
		conn:    conn,
		config:  config,
		ack:     newAcknowledger(conn),
		reading: true,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	c.out.init(conn, newBuffers(), config.WriteTimeout, config.Limits.QueuedBytes, c.fail)
	c.in.init(conn, config.Limits)
	c.objects.New = func() any { return &call{client: c, signal: make(chan struct{}, 1)} }
	c.watching.Go(c.watch)
	return c
}

// Call calls a function and waits for its reply, which is decoded into what reply points to; a nil reply drops the result.
// By which rules values travel is in the package's documentation. Arguments must not be changed before Call returns.
//
// It fails with a *RemoteError when the server answered an error, with ErrTimeout when Config.CallTimeout has passed, with
// context.Cause(ctx) when ctx ended first, with ErrType when the result does not go into reply, with ErrFrameTooLarge or
// ErrTooDeep when the arguments are above the limits, and with ErrClosed when the connection is gone. A call that was given
// up may still be executed.
func (c *Client) Call(ctx context.Context, method string, reply any, args ...any) error {
	call, err := c.begin(ctx, method, reply, args)
	if err != nil {
		return err
	}
	lead, err := c.submit(ctx, call)
	if err != nil {
		c.recycle(call)
		return err
	}
	if lead {
		err = c.lead(ctx, call)
	} else {
		err = c.wait(ctx, call)
	}
	c.recycle(call)
	return err
}

// Notify sends a notification: a call that gets no reply. It returns when the message is queued for the network; whether
// the server knows the function is never told.
func (c *Client) Notify(ctx context.Context, method string, args ...any) error {
	call, err := c.begin(ctx, method, nil, args)
	if err != nil {
		return err
	}
	defer c.recycle(call)
	if err := c.out.room(ctx, nil); err != nil {
		return c.cause(err)
	}
	if _, err := call.put(call.message.notification()); err != nil {
		return c.cause(err)
	}
	c.out.flush(false)
	return nil
}

// LocalAddr is the address of this end of the connection; it stays readable after the connection is gone.
func (c *Client) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr is the address of the server.
func (c *Client) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// PeerCertificates are what the server has proven its identity with, its own certificate first; nil without TLS.
func (c *Client) PeerCertificates() []*x509.Certificate {
	if secure, ok := c.conn.(*tls.Conn); ok {
		return secure.ConnectionState().PeerCertificates
	}
	return nil
}

// Done is closed when the connection is gone, whether or not a call is under way.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the connection is up and says afterwards why it is gone; errors.Is(err, ErrClosed) is then true.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection, fails every call under way and waits for what runs in the background. Notifications that the
// network has not taken yet are lost. It may be called more than once and always answers nil.
func (c *Client) Close() error {
	c.fail(errClosedHere)
	c.out.stop()
	c.watching.Wait()
	c.waiting.Wait()
	return nil
}

var errClosedHere = errors.New("closed by this side")

// fail ends the connection for a reason; the first one counts.
func (c *Client) fail(reason error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = fmt.Errorf("%w: %w", ErrClosed, reason)
	calls := c.calls.takeAll()
	c.freeSlot()
	c.mu.Unlock()
	c.conn.Close()
	c.out.fail(errOutboxClosed)
	close(c.done)
	if len(calls) == 0 && reason != errClosedHere {
		c.config.Logger.Info("connection ended", zap.Error(reason))
	}
	for _, call := range calls {
		call.finish(c.err)
	}
}

// cause prefers the reason why the connection is gone to what a part of it reports.
func (c *Client) cause(err error) error {
	if closed := c.Err(); closed != nil {
		return closed
	}
	if errors.Is(err, ErrTimeout) {
		return c.timeout()
	}
	if c.out.failed() {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}
