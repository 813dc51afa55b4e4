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
//
// One goroutine of a session reads the calls and may run NonBlocking handlers itself. Other goroutines take calls from
// the queues and run the other handlers:
//
//	connection -> in (messageReader) -> queues -> handler -> out (messageWriter) -> connection
type Session struct {
	server   *Server
	listener net.Listener
	// socket is the connection as accepted; conn is the same or TLS over it.
	socket net.Conn
	conn   net.Conn
	peer   *tls.ConnectionState
	// cancel ends the handlers' contexts.
	cancel context.CancelFunc
	ended  chan struct{}

	out     messageWriter
	in      messageReader
	ack     *acknowledger
	overdue overdue
	queues  queues
	// deadline is what the read deadline was last set to. Only the reader uses it.
	deadline time.Time

	// exit means that a handler wants the session closed after its reply.
	exit atomic.Bool
	// inFlight counts the calls that were read and have no reply yet, received their bytes.
	inFlight atomic.Int64
	received atomic.Int64
	// frameSize is what SetFrameSize has set, 0 where the server's limit holds. scanned is the frameSize that the
	// reader applies.
	frameSize atomic.Int64
	scanned   int64

	mu sync.Mutex
	// ending is of type ending; it is changed with mu held.
	ending atomic.Int32
	// progress is signalled when ending changes, and when inFlight or received become less while stalled is set.
	progress sync.Cond
	stalled  atomic.Bool
	// broken is the first failure of a write.
	broken atomic.Pointer[error]
}

// ending is how a session is to end. A later value takes precedence.
type ending int32

const (
	endNot ending = iota
	// endAfterCalls runs the calls received and sends their replies.
	endAfterCalls
	// endAfterReplies sends the replies there are and runs no further call.
	endAfterReplies
	// endNow closes the connection.
	endNow
)

type sessionKey struct{}

// SessionFrom returns the session that a handler's context belongs to, nil for other contexts.
func SessionFrom(ctx context.Context) *Session {
	session, _ := ctx.Value(sessionKey{}).(*Session)
	return session
}

// newSession returns a session and the context of its handlers.
func newSession(ctx context.Context, server *Server, listener net.Listener, conn net.Conn) (*Session, context.Context) {
	s := &Session{server: server, listener: listener, socket: conn, conn: conn, ended: make(chan struct{})}
	s.progress.L = &s.mu
	s.queues.session = s
	s.overdue.session = s
	ctx, s.cancel = context.WithCancel(context.WithValue(ctx, sessionKey{}, s))
	return s, ctx
}

// RemoteAddr returns the address of the client.
func (s *Session) RemoteAddr() net.Addr { return s.socket.RemoteAddr() }

// Silent reports whether the client has sent nothing yet. It looks at the socket, so it may be called before the first
// read. Only TCP on Linux knows; elsewhere Silent returns false.
func (s *Session) Silent() bool {
	tcp, ok := s.socket.(*net.TCPConn)
	return ok && silent(tcp)
}

// Flow returns what the connection has moved.
func (s *Session) Flow() Flow { return flowOf(s.socket) }

// AllowFragments is as for a Client.
func (s *Session) AllowFragments() {
	if tcp := tcpOf(s.socket); tcp != nil {
		allowFragments(tcp)
	}
}

// PeerCertificates returns the certificates with which the client proved its identity, the client's own first. It
// returns nil without TLS.
func (s *Session) PeerCertificates() []*x509.Certificate {
	if s.peer == nil {
		return nil
	}
	return s.peer.PeerCertificates
}

// CloseAfterReply is called by a handler and ends the session after that handler's reply is sent, as rpclib's post_exit
// does. Later calls get no reply. The replies of other handlers that already run are still sent.
//
// As in rpclib, the handler of a notification ends the session when the handler returns, and a handler that returns
// NoReply does not end it.
func (s *Session) CloseAfterReply() { s.exit.Store(true) }

// SetFrameSize sets the longest message in bytes that the session accepts, up to Limits.FrameSize. 0 means
// Limits.FrameSize. A session with a lowered limit is the first to be closed where Limits.UnfinishedBytes is exceeded.
// When OnSession or a handler calls SetFrameSize, the limit holds for each message that the client sends after it has
// the reply.
func (s *Session) SetFrameSize(size int) { s.frameSize.Store(int64(size)) }

// isLowered reports whether the longest message is shorter than the server's limit.
func (s *Session) isLowered() bool { return s.frameSize.Load() > 0 }

// limits returns the limits of the session's messages.
func (s *Session) limits() Limits {
	limits := s.server.config.Limits
	if size := int(s.frameSize.Load()); size > 0 {
		limits.FrameSize = min(limits.FrameSize, size)
	}
	return limits
}

// Close ends the session at once: replies under way are lost, and the handlers' contexts end. It does not wait and
// always returns nil.
func (s *Session) Close() error {
	s.finish(endNow)
	s.cancel()
	s.socket.Close()
	return nil
}

// Reset does what Close does and resets a TCP connection. Reads and writes of the client then fail with ECONNRESET, and
// the system keeps nothing of the connection. It is for connections for which a server has no place.
func (s *Session) Reset() {
	s.finish(endNow)
	resetConn(s.socket)
	s.Close()
}

// finish makes the session end. It does not wait.
func (s *Session) finish(how ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending.Store(max(s.ending.Load(), int32(how)))
	s.progress.Broadcast()
	// It wakes the reader. The only error is that of a closed connection.
	_ = s.socket.SetReadDeadline(time.Unix(1, 0))
}

func (s *Session) end() ending {
	return ending(s.ending.Load())
}

// breakOff closes the connection after a failed write.
func (s *Session) breakOff(reason error) {
	s.broken.CompareAndSwap(nil, &reason)
	s.Close()
}

// serve serves the session until it has ended.
func (s *Session) serve(ctx context.Context, secure *tls.Config) {
	config := &s.server.config
	if err := s.open(ctx, secure); err != nil {
		// The client may be sending already, and must still be able to read TLS's alert.
		s.halfClose()
		// The session has failed already: how the rest ends does not matter.
		_ = s.close(err)
		s.server.reject(s, err)
		return
	}
	if config.OnSession != nil {
		config.OnSession(s)
	}
	err := s.close(s.read(ctx))
	s.in.uncharge()
	if err != nil {
		config.Logger.Warn("session broken", zap.Stringer("address", s.RemoteAddr()), zap.Error(err))
	}
	if config.OnSessionEnd != nil {
		config.OnSessionEnd(s, err)
	}
}

// open sets the socket's options and makes the TLS handshake.
func (s *Session) open(ctx context.Context, secure *tls.Config) error {
	config := &s.server.config
	if err := tune(s.socket, config.KeepAlive, config.UserTimeout); err != nil {
		return err
	}
	if secure != nil {
		conn := tls.Server(s.socket, secure)
		ctx, cancel := context.WithTimeout(ctx, config.HandshakeTimeout)
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
	s.in.unfinished, s.in.charge.session = s.server.unfinished, s
	return nil
}

// Errors that end a session, as OnSessionEnd gets them.
var (
	// errIdle is a connection that was silent for ServerConfig.IdleTimeout.
	errIdle = errors.New("rpc: connection idle for too long")
	// errStalled is a message that stopped half-way for ServerConfig.MessageTimeout.
	errStalled = errors.New("rpc: message stopped half-way")
)

// read reads calls until the session is to end. It returns nil for an orderly end.
func (s *Session) read(ctx context.Context) error {
	for {
		notified, err := s.takeAll(ctx)
		s.queues.dispatch(ctx)
		if err == nil {
			s.out.flush(false)
			s.awaitRoom()
		}
		if err != nil || s.end() != endNot {
			return err
		}
		if notified || s.in.partial() || s.overdue.is.Load() {
			s.ack.now()
		}
		s.setDeadline()
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

// setDeadline sets the deadline of the next read.
func (s *Session) setDeadline() {
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

// expired returns why a read that ended by its deadline ends the session, nil when it does not.
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

// close ends the session after its reader. It returns nil when the end was orderly.
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
	s.queues.close()
	s.cancel()
	if s.out.conn != nil && how != endNow && (orderly || malformed) {
		s.out.drained()
		s.halfClose()
	}
	s.conn.Close()
	s.socket.Close()
	s.out.stop()
	s.overdue.stop()
	broken := s.broken.Load()
	switch {
	case orderly && how == endNot:
		// The client is gone; a reply that could not be sent is not an error.
		return nil
	case broken != nil:
		return *broken
	case how == endNow:
		return nil
	default:
		return reason
	}
}

const (
	// maxHalfClosed is how long a session reads on after the last reply, and maxHalfClosedBytes how much.
	maxHalfClosed      = 250 * time.Millisecond
	maxHalfClosedBytes = 1 << 20
)

// halfClose ends the writing and waits a little until the client has closed too. A socket that is closed with unread
// data resets the connection, and the client may lose the last reply.
func (s *Session) halfClose() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.socket.SetReadDeadline(time.Now().Add(maxHalfClosed))
	_, _ = io.CopyN(io.Discard, s.conn, maxHalfClosedBytes)
}
