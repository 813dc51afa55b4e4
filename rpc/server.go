package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Server serves functions to any number of connections. All methods may be used concurrently and from inside handlers.
type Server struct {
	config ServerConfig
	// functions is replaced, never changed: looking a function up takes no lock.
	functions atomic.Pointer[map[string]*function]
	// missing stands for a function that is not bound.
	missing *function

	mu        sync.Mutex
	listeners map[net.Listener]bool
	sessions  map[*Session]bool
	stopped   bool
	requests  sync.Pool
	buffers   *sync.Pool
	// big has buffers of big messages.
	big sync.Pool
}

// NewServer makes a server without functions.
func NewServer(config ServerConfig) *Server {
	s := &Server{
		config:    config.withDefaults(),
		listeners: make(map[net.Listener]bool),
		sessions:  make(map[*Session]bool),
		buffers:   newBuffers(),
		missing:   &function{nonBlocking: true, invoke: invokeMissing},
	}
	s.functions.Store(&map[string]*function{})
	s.requests.New = func() any { return &request{} }
	return s
}

// Handle binds a Handler under a name. It fails, with rpclib's text, when the name is bound already. It may be called while
// the server runs.
func (s *Server) Handle(name string, handler Handler, options ...HandlerOption) error {
	return s.bind(name, handler.invoke, options)
}

func (s *Server) bind(name string, invoke invoker, options []HandlerOption) error {
	fn := &function{name: name, invoke: invoke}
	for _, option := range options {
		option(fn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*function)
	for name, fn := range *s.functions.Load() {
		next[name] = fn
	}
	if next[name] != nil {
		return errors.New(textAlreadyBound(name))
	}
	next[name] = fn
	s.functions.Store(&next)
	return nil
}

// Unbind takes a function away; an unknown name is no error. Calls that were received before may still run it.
func (s *Server) Unbind(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*function)
	for bound, fn := range *s.functions.Load() {
		if bound != name {
			next[bound] = fn
		}
	}
	s.functions.Store(&next)
}

// FunctionCount returns how many functions are bound.
func (s *Server) FunctionCount() int { return len(*s.functions.Load()) }

// Serve accepts connections from the listener and serves them until Shutdown, Close or the end of ctx. Then it returns nil,
// after every session it began has ended, and it has closed the listener. It may be called for several listeners at once.
//
// The end of ctx closes the sessions as Close does; handlers' contexts descend from ctx.
//
// Serve fails at once with ErrPlaintext for a TCP listener without TLS when ServerConfig.InsecurePlaintext is not set, and
// with ErrPeerNotAuthenticated for a TLS configuration that lets unknown peers in. When accepting fails, such as after the
// listener's owner has closed it, Serve still serves the sessions it has, and returns the failure when they have ended.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	secure, err := s.security(listener)
	if err != nil {
		return fmt.Errorf("rpc: serving on %s: %w", listener.Addr(), err)
	}
	if !s.enlist(listener) {
		return nil
	}
	// The sessions may outlive the listener: ctx ends them for as long as there are any.
	stop := context.AfterFunc(ctx, func() { s.closeSessions(listener) })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer s.discharge(listener)
	err = s.accept(ctx, listener, secure, &running)
	if s.isStopped() || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("rpc: accepting on %s: %w", listener.Addr(), err)
}

func (s *Server) security(listener net.Listener) (*tls.Config, error) {
	if s.config.TLS != nil {
		return serverTLS(s.config.TLS, s.config.AnonymousClients)
	}
	if _, tcp := listener.Addr().(*net.TCPAddr); tcp && !s.config.InsecurePlaintext {
		return nil, ErrPlaintext
	}
	return nil, nil
}

func (s *Server) accept(ctx context.Context, listener net.Listener, secure *tls.Config, running *sync.WaitGroup) error {
	const longestPause = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := listener.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if s.isStopped() || ctx.Err() != nil || !errors.As(err, &temporary) || !temporary.Temporary() {
				return err
			}
			// Such as no file descriptor left: others may give some back.
			s.config.Logger.Warn("accepting failed, trying again", zap.Error(err), zap.Duration("next_attempt_in", pause))
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = 5 * time.Millisecond
		if s.config.Admit != nil && s.config.Admit(conn.RemoteAddr()) != nil {
			conn.Close()
			continue
		}
		session := newSession(ctx, s, listener, conn)
		if !s.admit(session) {
			s.reject(conn.RemoteAddr(), fmt.Errorf("%w: the limit is %d", ErrTooManyConnections, s.config.Connections))
			conn.Close()
			continue
		}
		running.Go(func() {
			defer s.forget(session)
			session.serve(secure)
		})
		if ctx.Err() != nil {
			// It came too late for closeSessions.
			session.Close()
		}
	}
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *Server) enlist(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.listeners[listener] = true
	}
	return !s.stopped
}

func (s *Server) discharge(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, listener)
}

func (s *Server) admit(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.sessions) >= s.config.Connections {
		return false
	}
	s.sessions[session] = true
	return true
}

// reject tells that a connection became no session.
func (s *Server) reject(remote net.Addr, reason error) {
	if s.config.OnReject != nil {
		s.config.OnReject(remote, reason)
		return
	}
	s.config.Logger.Warn("connection refused", zap.Stringer("address", remote), zap.Error(reason))
}

func (s *Server) forget(session *Session) {
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
	close(session.ended)
}

// Shutdown closes the listeners at once, has every session finish the calls that it has received, and waits for that.
// When ctx ends first it closes what is left and answers the context's error. From inside a handler, told by the handler's
// context, it does not wait: the session ends when the handler's reply is sent, and Serve returns when all have ended.
func (s *Server) Shutdown(ctx context.Context) error {
	sessions := s.stop()
	for _, session := range sessions {
		session.finish(endAfterCalls)
	}
	if own := SessionFrom(ctx); own != nil && own.server == s {
		return nil
	}
	for _, session := range sessions {
		select {
		case <-session.ended:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.Close())
		}
	}
	return nil
}

// Close closes the listeners and all connections at once and cancels the handlers' contexts. It does not wait: Serve does.
func (s *Server) Close() error {
	for _, session := range s.stop() {
		session.Close()
	}
	return nil
}

// CloseSessions closes all connections at once, as rpclib's close_sessions does; new ones are accepted.
func (s *Server) CloseSessions() { s.closeSessions(nil) }

// closeSessions closes the connections of one listener and the listener; nil means those of all, and no listener.
func (s *Server) closeSessions(listener net.Listener) {
	s.mu.Lock()
	var sessions []*Session
	for session := range s.sessions {
		if listener == nil || session.listener == listener {
			sessions = append(sessions, session)
		}
	}
	s.mu.Unlock()
	if listener != nil {
		listener.Close()
	}
	for _, session := range sessions {
		session.Close()
	}
}

// stop keeps new connections out and answers the sessions there are.
func (s *Server) stop() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for listener := range s.listeners {
		listener.Close()
	}
	var sessions []*Session
	for session := range s.sessions {
		sessions = append(sessions, session)
	}
	return sessions
}
