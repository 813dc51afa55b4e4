package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Session is one connection of a client. A handler gets it with SessionFrom. All methods may be used concurrently.
type Session struct {
	server   *Server
	listener net.Listener
	// socket is the connection as accepted, conn the same or TLS over it.
	socket net.Conn
	conn   net.Conn
	peer   *tls.ConnectionState
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	out  outbox
	in   inbox
	ack  *acknowledger
	late lateness
	// deadline is what the read deadline was last set to; the reader alone uses it.
	deadline time.Time

	// exit says that a handler wants the session closed after its reply.
	exit atomic.Bool
	// inFlight and received count the calls that were read and are not answered, and their bytes.
	inFlight atomic.Int64
	received atomic.Int64
	lanes    lanes

	mu sync.Mutex
	// ending is an ending; it changes with mu held.
	ending atomic.Int32
	broken error
	// progress is signalled when inFlight or received have become less and stalled is true, and when ending changes.
	progress sync.Cond
	stalled  atomic.Bool
}

// ending says how a session is to end.
type ending int32

const (
	endNot ending = iota
	// endAfterCalls answers what was received.
	endAfterCalls
	// endAfterReplies sends the replies there are, and answers nothing further.
	endAfterReplies
	// endNow closes the connection.
	endNow
)

type sessionKey struct{}

// SessionFrom answers the session that a handler's context belongs to, nil for other contexts.
func SessionFrom(ctx context.Context) *Session {
	session, _ := ctx.Value(sessionKey{}).(*Session)
	return session
}

func newSession(ctx context.Context, server *Server, listener net.Listener, conn net.Conn) *Session {
	s := &Session{server: server, listener: listener, socket: conn, conn: conn, ended: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.WithValue(ctx, sessionKey{}, s))
	s.progress.L = &s.mu
	s.lanes.session = s
	s.late.session = s
	return s
}

// RemoteAddr is the address of the client.
func (s *Session) RemoteAddr() net.Addr { return s.socket.RemoteAddr() }

// PeerCertificates are what the client has proven its identity with, its own certificate first; nil without TLS.
func (s *Session) PeerCertificates() []*x509.Certificate {
	if s.peer == nil {
		return nil
	}
	return s.peer.PeerCertificates
}

// CloseAfterReply, called by a handler, ends the session when the handler's reply is sent, whole: rpclib's post_exit. Calls
// behind it are not answered. In a notification it ends the session when the handler returns, and with NoReply it does
// nothing, both as in rpclib. Where handlers run at once, those of other calls that run already get their replies sent too.
func (s *Session) CloseAfterReply() { s.exit.Store(true) }

// Close ends the session at once: replies under way are lost, handlers' contexts end. It does not wait and always answers
// nil.
func (s *Session) Close() error {
	s.finish(endNow)
	s.cancel()
	s.socket.Close()
	return nil
}

// finish has the session end.
func (s *Session) finish(how ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending.Store(max(s.ending.Load(), int32(how)))
	s.progress.Broadcast()
	// The only error is that of a connection that is closed already.
	_ = s.socket.SetReadDeadline(time.Unix(1, 0))
}

func (s *Session) end() ending {
	return ending(s.ending.Load())
}

// breakOff closes the connection for a reason; it is what a failed write leads to.
func (s *Session) breakOff(reason error) {
	s.mu.Lock()
	if s.broken == nil {
		s.broken = reason
	}
	s.mu.Unlock()
	s.Close()
}

// serve is the session's life.
func (s *Session) serve(secure *tls.Config) {
	config := &s.server.config
	opened := false
	err := s.open(secure)
	if err == nil {
		opened = true
		if config.OnSession != nil {
			config.OnSession(s)
		}
		err = s.read()
	}
	if !opened {
		// TLS has told the client why, who may be sending already.
		s.hangUp()
		// It has failed already: how it ends says nothing more.
		_ = s.close(err)
		s.server.reject(s.RemoteAddr(), err)
		return
	}
	err = s.close(err)
	if err != nil {
		config.Logger.Warn("session broken", zap.Stringer("address", s.RemoteAddr()), zap.Error(err))
	}
	if config.OnSessionEnd != nil {
		config.OnSessionEnd(s, err)
	}
}

// open makes the connection ready: socket options, and the proof of who is there.
func (s *Session) open(secure *tls.Config) error {
	config := &s.server.config
	if err := tune(s.socket, config.KeepAlive, config.UserTimeout); err != nil {
		return err
	}
	if secure != nil {
		conn := tls.Server(s.socket, secure)
		ctx, cancel := context.WithTimeout(s.ctx, config.HandshakeTimeout)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrHandshake, err)
		}
		state := conn.ConnectionState()
		s.conn, s.peer = conn, &state
	}
	s.ack = newAcknowledger(s.conn)
	s.out.init(s.conn, s.server.buffers, config.WriteTimeout, config.Limits.QueuedBytes, s.breakOff)
	s.in.init(s.conn, config.Limits)
	s.in.pool = &s.server.big
	return nil
}

// Errors that end a session, told to OnSessionEnd.
var (
	// errIdle is a connection that was silent for ServerConfig.IdleTimeout.
	errIdle = errors.New("rpc: connection idle for too long")
	// errStalled is a message that stopped half-way for ServerConfig.MessageTimeout.
	errStalled = errors.New("rpc: message stopped half-way")
)

// read reads calls until the session is to end; nil is an orderly end.
func (s *Session) read() error {
	for {
		notified, err := s.takeAll()
		s.lanes.dispatch()
		if err == nil {
			s.out.flush(false)
			s.admit()
		}
		if err != nil || s.end() != endNot {
			return err
		}
		if notified || s.in.partial() || s.late.is.Load() {
			s.ack.now()
		}
		s.bound()
		if err := s.in.fill(); err == io.EOF && s.in.partial() {
			return io.ErrUnexpectedEOF
		} else if err == io.EOF {
			return nil
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			if err := s.expired(); err != nil || s.end() != endNot {
				return err
			}
		} else if err != nil {
			return err
		}
	}
}

// bound sets the deadline of the next read.
func (s *Session) bound() {
	config := &s.server.config
	var timeout time.Duration
	switch {
	case s.in.partial():
		timeout = config.MessageTimeout
	case config.IdleTimeout > 0:
		timeout = config.IdleTimeout
	case s.deadline.IsZero():
		return
	}
	s.deadline = time.Time{}
	if timeout > 0 {
		s.deadline = time.Now().Add(timeout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end() == endNot {
		_ = s.socket.SetReadDeadline(s.deadline)
	}
}

// expired says what a read that ended by its deadline means for the session.
func (s *Session) expired() error {
	switch {
	case s.end() != endNot, s.deadline.IsZero():
		return nil
	case s.in.partial():
		return errStalled
	case s.inFlight.Load() == 0:
		return errIdle
	default:
		return nil
	}
}

// close ends the session after its reader. It answers nil when the end was orderly.
func (s *Session) close(reason error) error {
	how := s.end()
	orderly := reason == nil
	malformed := errors.Is(reason, ErrProtocol) || errors.Is(reason, ErrFrameTooLarge) || errors.Is(reason, ErrTooDeep) || errors.Is(reason, ErrTooManyElements)
	if how == endNot || how == endNow {
		s.cancel()
	}
	if !orderly && !malformed {
		s.socket.Close()
	}
	s.lanes.close()
	s.cancel()
	if s.out.conn != nil && how != endNow && (orderly || malformed) {
		s.out.drained()
		s.hangUp()
	}
	s.conn.Close()
	s.socket.Close()
	s.out.stop()
	s.late.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case orderly && how == endNot:
		// The client is gone; that a reply could not be sent any more is no surprise.
		return nil
	case s.broken != nil:
		return s.broken
	case how == endNow:
		return nil
	default:
		return reason
	}
}

const (
	hangUpTime  = 250 * time.Millisecond
	hangUpBytes = 1 << 20
)

// hangUp tells the peer that nothing more comes and waits a little until it has closed too: a socket that is closed while
// something unread lies in it resets the connection, and the peer may lose the last reply.
func (s *Session) hangUp() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.socket.SetReadDeadline(time.Now().Add(hangUpTime))
	_, _ = io.CopyN(io.Discard, s.conn, hangUpBytes)
}
