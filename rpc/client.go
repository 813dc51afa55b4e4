package rpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// State is what a client knows about its connection.
type State int

// The states. A client never goes back from Disconnected: dial again.
const (
	Connected State = iota
	Disconnected
)

// String is the state in one word, as rpclib names it.
func (s State) String() string {
	if s == Connected {
		return "connected"
	}
	return "disconnected"
}

// Call is one call begun with Client.Go.
type Call struct {
	Method string
	Reply  any
	// Error is set before Done is closed.
	Error error
	// Done is closed when the call has ended.
	Done chan struct{}
}

// Client calls the functions of one server over one connection. All methods may be used from many goroutines at once.
type Client struct {
	conn    net.Conn
	config  Config
	mu      sync.Mutex
	writing sync.Mutex
	nextID  uint32
	pending map[uint32]*waiting
	err     error
	done    chan struct{}
	ended   chan struct{}
}

type waiting struct {
	frame []byte
	err   error
	done  chan struct{}
}

// Dial connects to addr: "host:port", "[::1]:4129" or "unix:/path". TCP without TLS must be asked for by name with
// Config.InsecurePlaintext. ctx bounds the connecting only.
func Dial(ctx context.Context, addr string, config Config) (*Client, error) {
	config = config.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, config.DialTimeout)
	defer cancel()
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	} else if config.TLS == nil && !config.InsecurePlaintext {
		return nil, ErrPlaintext
	}
	var conn net.Conn
	var err error
	if config.TLS != nil {
		conn, err = (&tls.Dialer{Config: config.TLS}).DialContext(ctx, network, addr)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
	}
	return NewClient(conn, config), nil
}

// NewClient makes a client of a connection that is already up, of any kind. The client owns it from now on.
func NewClient(conn net.Conn, config Config) *Client {
	c := &Client{conn: conn, config: config.withDefaults(), pending: map[uint32]*waiting{}, done: make(chan struct{}), ended: make(chan struct{})}
	go c.read()
	return c
}

// Call calls a function and waits for its reply, which is decoded into what reply points to; nil drops the result.
// It fails with a *RemoteError when the server answered an error, with ErrTimeout after Config.CallTimeout, with the
// context's error when that ended first, and with ErrClosed when the connection is gone.
func (c *Client) Call(ctx context.Context, method string, reply any, args ...any) error {
	if c.config.CallTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.config.CallTimeout, fmt.Errorf("rpc: %s: no reply within %v: %w", method, c.config.CallTimeout, ErrTimeout))
		defer cancel()
	}
	w := &waiting{done: make(chan struct{})}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.nextID++
	id := c.nextID
	c.pending[id] = w
	c.mu.Unlock()
	b := msgpack.AppendUint([]byte{0x94, 0}, uint64(id))
	if err := c.send(b, method, args); err != nil {
		c.drop(id)
		return err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		c.drop(id)
		return context.Cause(ctx)
	}
	if w.err != nil {
		return w.err
	}
	return decodeReply(w.frame, method, reply)
}

func (c *Client) drop(id uint32) {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
}

func (c *Client) send(b []byte, method string, args []any) error {
	b = msgpack.AppendString(b, method)
	b, err := appendSlice(b, args, c.config.Limits.Depth+1)
	if err != nil {
		return err
	}
	if len(b) > c.config.Limits.FrameSize {
		return ErrFrameTooLarge
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(c.config.WriteTimeout))
	if _, err := c.conn.Write(b); err != nil {
		c.fail(err)
		return c.Err()
	}
	return nil
}

// Notify sends a notification: a call without a reply. It returns when the message is on its way; whether the server knows
// the function, or handles it, is never told.
func (c *Client) Notify(ctx context.Context, method string, args ...any) error {
	if err := c.Err(); err != nil {
		return err
	}
	return c.send([]byte{0x93, 2}, method, args)
}

// Go begins a call and returns at once.
func (c *Client) Go(ctx context.Context, method string, reply any, args ...any) *Call {
	call := &Call{Method: method, Reply: reply, Done: make(chan struct{})}
	go func() {
		defer close(call.Done)
		call.Error = c.Call(ctx, method, reply, args...)
	}()
	return call
}

func decodeReply(frame []byte, method string, reply any) error {
	head, _ := msgpack.ReadHead(frame)
	rest := frame[head.Size:]
	count := head.Bits
	rest, _ = skip(rest)
	rest, _ = skip(rest)
	if count < 3 {
		rest = []byte{0xc0, 0xc0}
	} else if count < 4 {
		rest = append(rest[:len(rest):len(rest)], 0xc0)
	}
	failure, rest, err := decodeAny(rest)
	if err != nil {
		return err
	}
	if failure != nil {
		return &RemoteError{Method: method, Value: failure}
	}
	if _, err := decode(rest, reply); err != nil {
		return fmt.Errorf("rpc: result of %s: %w", method, err)
	}
	return nil
}

func (c *Client) read() {
	defer close(c.ended)
	err := readFrames(c.conn, c.config.Limits, func(frame []byte) error {
		head, err := msgpack.ReadHead(frame)
		if err != nil || head.Kind != msgpack.Array || head.Bits < 2 {
			return ErrProtocol
		}
		rest, _ := skip(frame[head.Size:])
		var id uint64
		if _, err := decode(rest, &id); err != nil || id > 0xffffffff {
			return ErrProtocol
		}
		c.mu.Lock()
		w := c.pending[uint32(id)]
		delete(c.pending, uint32(id))
		c.mu.Unlock()
		if w != nil {
			w.frame = frame
			close(w.done)
		}
		return nil
	})
	c.fail(err)
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = fmt.Errorf("%w: %w", ErrClosed, err)
	c.conn.Close()
	for id, w := range c.pending {
		delete(c.pending, id)
		w.err = c.err
		close(w.done)
	}
	close(c.done)
}

// LocalAddr is the address of this end of the connection.
func (c *Client) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr is the address of the server.
func (c *Client) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// State says whether the connection is up.
func (c *Client) State() State {
	if c.Err() == nil {
		return Connected
	}
	return Disconnected
}

// Done is closed when the connection is gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the connection is up, and then says why it is gone.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and fails every call under way. It may be called more than once.
func (c *Client) Close() error {
	c.fail(errors.New("closed by this side"))
	<-c.ended
	return nil
}

func readFrames(conn net.Conn, limits Limits, each func([]byte) error) error {
	reader := bufio.NewReader(conn)
	var scanner msgpack.Scanner
	scanner.Init(limits.frame())
	var frame []byte
	for {
		size, need, err := scanner.Scan(frame)
		if err != nil {
			return scanError(err)
		}
		if size > 0 {
			if err := each(frame); err != nil {
				return err
			}
			scanner.Reset()
			frame = nil
			continue
		}
		start := len(frame)
		frame = append(frame, make([]byte, need-start)...)
		if _, err := io.ReadFull(reader, frame[start:]); err != nil {
			return err
		}
	}
}
