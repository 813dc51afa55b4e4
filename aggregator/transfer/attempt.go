package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// attempt is one attempt to upload. Its connections end with it, and stalled cancels it when no byte moves.
type attempt struct {
	uploader *Uploader
	location Location
	tls      *tls.Config
	stalled  *time.Timer
	cancel   context.CancelCauseFunc
	conns    sync.WaitGroup
	// dialContext establishes a connection.
	dialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

func (u *Uploader) newAttempt(ctx context.Context, location Location) (*attempt, context.Context, error) {
	roots, err := u.roots()
	if err != nil {
		return nil, nil, &Error{Status: UploadFailure, Err: err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{
		uploader: u, location: location, cancel: cancel,
		dialContext: (&net.Dialer{Timeout: u.config.ConnectTimeout}).DialContext,
		// FTP servers may demand that a data connection resumes the control connection's session.
		tls: &tls.Config{
			RootCAs: roots, ServerName: location.host, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(8),
		},
		stalled: time.AfterFunc(u.config.StallTimeout, func() { cancel(errStalled) }),
	}
	return a, ctx, nil
}

func (a *attempt) end() {
	a.stalled.Stop()
	a.cancel(nil)
	a.conns.Wait()
}

// dial makes a connection that ends with the context and counts against stalls.
func (a *attempt) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return a.dialFor(ctx, ctx, network, address)
}

// dialFor is dial with a context for the time until the connection is established.
func (a *attempt) dialFor(ctx, dialing context.Context, network, address string) (net.Conn, error) {
	conn, err := a.dialContext(dialing, network, address)
	if err != nil {
		return nil, err
	}
	a.conns.Add(1)
	watched := &watchedConn{Conn: conn, attempt: a}
	watched.stop = context.AfterFunc(ctx, func() { watched.Close() })
	return watched, nil
}

type watchedConn struct {
	net.Conn
	attempt *attempt
	stop    func() bool
	once    sync.Once
}

func (c *watchedConn) Read(p []byte) (int, error)  { return c.moved(c.Conn.Read(p)) }
func (c *watchedConn) Write(p []byte) (int, error) { return c.moved(c.Conn.Write(p)) }

func (c *watchedConn) moved(n int, err error) (int, error) {
	if n > 0 {
		c.attempt.stalled.Reset(c.attempt.uploader.config.StallTimeout)
	}
	return n, err
}

// CloseWrite ends the sending direction alone.
func (c *watchedConn) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *watchedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.attempt.conns.Done()
	})
	return err
}
