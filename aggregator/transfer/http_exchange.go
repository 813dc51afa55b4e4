package transfer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// continueTimeout is how long the content waits for a server that says nothing to Expect.
	continueTimeout = 2 * time.Second
	// maxInformational is how many answers 1xx a server may send before the exchange fails.
	maxInformational = 100
)

var errInformational = errors.New("the server sends informational replies without end")

// exchange is one request with its answer, on a connection of its own.
type exchange struct {
	ctx     context.Context
	attempt *attempt
	wrote   chan error // has the request's end, of which there is one
	// connected is set when the connection is established, and TLS on it.
	connected     atomic.Bool
	answered      atomic.Bool  // the answer began
	informational atomic.Int64 // the answers 1xx
	early         atomic.Bool  // the answer came before any content was sent
	taken         atomic.Int64 // the bytes of content that were sent or are being sent
	// failed is why the connection ended: the first error of its socket.
	failed atomic.Pointer[error]
}

// exchange makes one request. It returns the answer, whose body is closed, and whether the whole content was sent.
func (a *attempt) exchange(ctx context.Context, hop httpHop, source uploadSource) (*http.Response, bool, error) {
	e := &exchange{ctx: ctx, attempt: a, wrote: make(chan error, 1)}
	request := a.request(httptrace.WithClientTrace(ctx, e.trace()), hop, source)
	if source.size > 0 {
		content, err := source.content()
		if err != nil {
			return nil, false, err
		}
		request.Body, request.ContentLength = &exchangeContent{ReadCloser: content, exchange: e}, source.size
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: e.dial, TLSClientConfig: a.tls.Clone(), DisableKeepAlives: true,
		TLSHandshakeTimeout: a.uploader.config.ConnectTimeout, ExpectContinueTimeout: continueTimeout, MaxResponseHeaderBytes: 64 << 10,
	}
	// After a redirect the server's name is another one: the transport sets it.
	transport.TLSClientConfig.ServerName = ""
	defer transport.CloseIdleConnections()

	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, false, e.cause(err)
	}
	// The server may process the file while it sends the body, which is not used.
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	response.Body.Close()
	return response, e.sent(source.size), nil
}

// cause returns why an exchange failed, where package http only knows that the connection has ended.
func (e *exchange) cause(err error) error {
	if failed := e.failed.Load(); failed != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)) {
		return *failed
	}
	return err
}

// fail keeps the first error of the socket. An end of the server's, or of our own, says nothing.
func (e *exchange) fail(err error) {
	if err != nil && err != io.EOF && !errors.Is(err, net.ErrClosed) {
		e.failed.CompareAndSwap(nil, &err)
	}
}

// sent reports whether the content was sent before the answer. The connection is closed: the request's end is near.
func (e *exchange) sent(size int64) bool {
	select {
	case err := <-e.wrote:
		return err == nil && e.taken.Load() == size && !e.early.Load()
	case <-e.ctx.Done():
		return false
	}
}

func (e *exchange) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { e.connected.Store(true) },
		GotFirstResponseByte: func() { e.answered.Store(true) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if e.informational.Add(1) > maxInformational {
				return errInformational
			}
			return nil
		},
		Got100Continue: func() { e.informational.Add(1) }, // before the content is sent, unlike Got1xxResponse
		WroteRequest:   func(info httptrace.WroteRequestInfo) { e.wrote <- info.Err },
	}
}

// exchangeContent counts the content of a request.
type exchangeContent struct {
	io.ReadCloser
	exchange *exchange
}

func (c *exchangeContent) Read(p []byte) (int, error) {
	e := c.exchange
	if e.taken.Load() == 0 && e.answered.Load() && e.informational.Load() == 0 {
		e.early.Store(true)
	}
	n, err := c.ReadCloser.Read(p)
	e.taken.Add(int64(n))
	return n, err
}

func (e *exchange) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := e.attempt.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &answerConn{Conn: conn, exchange: e, closed: make(chan struct{})}, nil
}

// answerConn is an exchange's connection. A write that fails returns only when the connection is being closed: a server may answer
// before it has the content and reset the connection, and package http would report the failed write and drop the answer,
// which is still to be read. Its reader closes the connection at the end of the answer, or where there is none.
type answerConn struct {
	net.Conn
	exchange *exchange
	closed   chan struct{}
	once     sync.Once
}

func (c *answerConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.exchange.fail(err)
	// Until the connection is established, its writer is its reader.
	if err != nil && c.exchange.connected.Load() {
		select {
		case <-c.closed:
		case <-c.exchange.ctx.Done():
		}
	}
	return n, err
}

func (c *answerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.exchange.fail(err)
	return n, err
}

// SetWriteDeadline is called by tls.Conn.Close alone, before its last alert: its writer is the reader, which must not wait
// for itself.
func (c *answerConn) SetWriteDeadline(deadline time.Time) error {
	c.end()
	return c.Conn.SetWriteDeadline(deadline)
}

func (c *answerConn) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *answerConn) end() { c.once.Do(func() { close(c.closed) }) }
