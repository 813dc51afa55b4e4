package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Client calls the functions of one server over one connection. Any number of goroutines may use it at once, and calls
// do not wait for one another: replies may come in any order. A client never reconnects; when Done is closed, dial
// again.
//
// Only one goroutine reads the connection at a time. It is a caller's goroutine or one that the client has started. See
// client_reader.go.
type Client struct {
	conn   net.Conn
	config Config
	out    messageWriter
	ack    *acknowledger

	mu    sync.Mutex
	calls callTable
	// reading means that a goroutine is the reader. The reader alone uses in, deadline and replies.
	reading bool
	// activity counts the calls begun, so that the background reader sees whether there were any.
	activity uint64
	// dispatching means that the reader runs functions given to Start, and will write the calls that those begin.
	dispatching bool
	// change is closed when a call has ended while others wait to begin; nil while none waits.
	change chan struct{}
	err    error

	in messageReader
	// deadline is what the read deadline of conn was last set to.
	deadline time.Time
	// replies are those that were read and not yet given to their calls.
	replies [replyBatch]reply

	// wake makes the background reader the reader again.
	wake chan struct{}
	done chan struct{}
	// background is the background reader, pending the calls without a goroutine that waits. Close waits for both.
	background sync.WaitGroup
	pending    sync.WaitGroup
	objects    sync.Pool
}

// Dial connects to addr: "host:port", "[::1]:4129" or "unix:/path". All addresses of a name are tried. ctx and
// Config.DialTimeout bound Dial, not the client's life.
//
// TCP needs Config.TLS or Config.InsecurePlaintext. Without either, Dial fails with ErrPlaintext. If the TLS handshake
// fails, Dial fails with ErrHandshake.
func Dial(ctx context.Context, addr string, config Config) (*Client, error) {
	config = config.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, config.DialTimeout)
	defer cancel()
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	} else if config.TLS == nil && !config.InsecurePlaintext {
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, ErrPlaintext)
	}
	// tune sets the keep-alive of the socket.
	dialer := &net.Dialer{KeepAlive: -1}
	if config.SegmentSize > 0 && network == "tcp" {
		dialer.Control = func(_, _ string, raw syscall.RawConn) error { return limitSegments(raw, config.SegmentSize) }
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
	}
	if err := tune(conn, config.KeepAlive, config.UserTimeout); err != nil {
		conn.Close()
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
	}
	if config.TLS != nil {
		secured, err := clientTLS(config.TLS, address)
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
		}
		secure := tls.Client(conn, secured)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%w: with %s: %w", ErrHandshake, addr, err)
		}
		conn = secure
	}
	return newClient(conn, config), nil
}

// NewClient returns a client that uses an established connection of any kind: a TCP or Unix socket, TLS, net.Pipe. The
// client owns the connection from then on.
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
	c.background.Go(c.readInBackground)
	return c
}

// Call calls a function, waits for its reply and decodes the result into what reply points to. A nil reply drops the
// result. The package's documentation has the rules for values. Arguments must not be changed before Call returns.
//
// Call fails with
//   - a *RemoteError when the server sent an error,
//   - ErrTimeout after Config.CallTimeout, or the cause of ctx if ctx ended first,
//   - ErrType when the result does not fit reply,
//   - ErrFrameTooLarge or ErrTooDeep when the arguments exceed the limits,
//   - ErrClosed when the connection is gone.
//
// A call that ended before its reply may still be executed.
func (c *Client) Call(ctx context.Context, method string, reply any, args ...any) error {
	call, err := c.encode(ctx, method, reply, args)
	if err != nil {
		return err
	}
	defer c.recycle(call)
	lead, err := c.submit(ctx, call)
	if err != nil {
		return err
	}
	if lead {
		return c.lead(ctx, call)
	}
	return c.wait(ctx, call)
}

// Notify sends a notification: a call without a reply. It returns when the message is queued for the network. The
// server never reports whether it knows the function.
func (c *Client) Notify(ctx context.Context, method string, args ...any) error {
	call, err := c.encode(ctx, method, nil, args)
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

// LocalAddr returns the address of this end of the connection, also after the connection is gone.
func (c *Client) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the address of the server.
func (c *Client) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// Unacknowledged returns for how long the peer's host has acknowledged nothing, although bytes of this side wait for
// that. It is 0 where none wait, on systems other than Linux, and on connections other than TCP. Calls that a host has
// acknowledged may still be unanswered: the host is there, and its program is slow or hangs.
func (c *Client) Unacknowledged() time.Duration {
	if tcp := tcpOf(c.conn); tcp != nil {
		return unacknowledged(tcp)
	}
	return 0
}

// Flow returns what the connection has moved.
func (c *Client) Flow() Flow { return flowOf(c.conn) }

// AllowFragments lets routers fragment further packets of the connection, also those that are sent again. It has no
// effect over IPv6, and on systems other than Linux.
func (c *Client) AllowFragments() {
	if tcp := tcpOf(c.conn); tcp != nil {
		allowFragments(tcp)
	}
}

// tcpOf returns the TCP connection below, nil where there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// PeerCertificates returns the certificates with which the server proved its identity, the server's own first. It
// returns nil without TLS.
func (c *Client) PeerCertificates() []*x509.Certificate {
	if secure, ok := c.conn.(*tls.Conn); ok {
		return secure.ConnectionState().PeerCertificates
	}
	return nil
}

// Done is closed when the connection is gone, whether or not a call is under way.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns nil until the client notices that the connection has ended. From then on Err returns the reason, an error
// that wraps ErrClosed. The client also notices the end of an idle connection.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection, fails every call under way and waits for the client's goroutines. Notifications that the
// network has not taken are lost. What a host that is unreachable for a second has not acknowledged does not arrive
// later. Close may be called more than once and always returns nil.
func (c *Client) Close() error {
	c.fail(errClosedHere)
	c.out.stop()
	c.background.Wait()
	c.pending.Wait()
	return nil
}

// unreachable is for how long a host acknowledges nothing before the end of its connection drops what it has not
// acknowledged.
const unreachable = time.Second

var errClosedHere = errors.New("closed by this side")

// fail ends the connection for a reason. Only the first reason counts.
func (c *Client) fail(reason error) {
	calls, first := c.setError(fmt.Errorf("%w: %w", ErrClosed, reason))
	if !first {
		return
	}
	if tcp := tcpOf(c.conn); tcp != nil && unacknowledged(tcp) >= unreachable {
		// Otherwise the system goes on sending after the close, and calls that have failed here arrive later.
		_ = tcp.SetLinger(0)
	}
	c.conn.Close()
	c.out.fail(errWriterStopped)
	close(c.done)
	if len(calls) == 0 && reason != errClosedHere {
		c.config.Logger.Info("connection ended", zap.Error(reason))
	}
	for _, call := range calls {
		call.finish(c.err)
	}
}

// setError returns the calls under way, and reports whether err is the first error.
func (c *Client) setError(err error) (calls []*call, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, false
	}
	c.err = err
	c.signalChangeLocked()
	return c.calls.takeAll(), true
}

// signalChangeLocked wakes the callers that wait for a call to end.
func (c *Client) signalChangeLocked() {
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
}

// cause returns the reason why the connection is gone, if it is, in the place of what a part of it returned.
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
