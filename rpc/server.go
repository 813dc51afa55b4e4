package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
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
	// missing serves the calls of functions that are not bound.
	missing *function

	mu        sync.Mutex
	listeners map[net.Listener]bool
	sessions  map[*Session]bool
	stopped   bool

	requests   sync.Pool
	unfinished *unfinished
	// buffers are for short messages, big for big ones.
	buffers *sync.Pool
	big     sync.Pool
}

// NewServer returns a server without functions.
func NewServer(config ServerConfig) *Server {
	s := &Server{
		config:    config.withDefaults(),
		listeners: make(map[net.Listener]bool),
		sessions:  make(map[*Session]bool),
		buffers:   newBuffers(),
		missing:   &function{nonBlocking: true, invoke: invokeMissing},
	}
	s.unfinished = newUnfinished(s.config.Limits.UnfinishedBytes)
	s.functions.Store(&map[string]*function{})
	s.requests.New = func() any { return &request{} }
	return s
}

// Handle binds a Handler under a name, also while the server runs. It fails with rpclib's text if the name is bound
// already.
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
	next := maps.Clone(*s.functions.Load())
	if next[name] != nil {
		return errors.New(textAlreadyBound(name))
	}
	next[name] = fn
	s.functions.Store(&next)
	return nil
}

// Unbind removes a function. It ignores an unknown name. Calls that were received before may still run it.
func (s *Server) Unbind(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(*s.functions.Load())
	delete(next, name)
	s.functions.Store(&next)
}

// FunctionCount returns how many functions are bound.
func (s *Server) FunctionCount() int { return len(*s.functions.Load()) }

// Serve accepts connections from the listener and serves them until Shutdown, Close or the end of ctx. It then closes
// the listener, waits until its sessions have ended, and returns nil. It may be called for several listeners at once.
//
// The end of ctx closes the sessions as Close does. The handlers' contexts descend from ctx.
//
// Serve fails at once with ErrPlaintext for a TCP listener if neither ServerConfig.TLS nor
// ServerConfig.InsecurePlaintext is set. It fails at once with ErrPeerNotAuthenticated if ServerConfig.TLS does not
// authenticate clients, unless ServerConfig.AnonymousClients is set. If accepting fails, for example because the
// listener's owner closed it, Serve waits until its sessions have ended and returns the failure.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	secure, err := s.security(listener)
	if err != nil {
		return fmt.Errorf("rpc: serving on %s: %w", listener.Addr(), err)
	}
	if !s.addListener(listener) {
		return nil
	}
	// The sessions may outlive the listener: ctx ends them for as long as there are any.
	stop := context.AfterFunc(ctx, func() { s.closeListener(listener) })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer s.removeListener(listener)
	err = s.accept(ctx, listener, secure, &running)
	if s.isStopped() || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("rpc: accepting on %s: %w", listener.Addr(), err)
}

// security returns the TLS configuration for a listener, nil for none.
func (s *Server) security(listener net.Listener) (*tls.Config, error) {
	if s.config.TLS != nil {
		return serverTLS(s.config.TLS, s.config.AnonymousClients)
	}
	if _, tcp := listener.Addr().(*net.TCPAddr); tcp && !s.config.InsecurePlaintext {
		return nil, ErrPlaintext
	}
	return nil, nil
}

// accept begins sessions until accepting fails for good. A temporary failure is tried again after a pause that grows.
func (s *Server) accept(ctx context.Context, listener net.Listener, secure *tls.Config, running *sync.WaitGroup) error {
	const minPause, maxPause = 5 * time.Millisecond, time.Second
	pause := minPause
	for {
		conn, err := listener.Accept()
		if err == nil {
			pause = minPause
			s.begin(ctx, listener, conn, secure, running)
			continue
		}
		var temporary interface{ Temporary() bool }
		if s.isStopped() || ctx.Err() != nil || !errors.As(err, &temporary) || !temporary.Temporary() {
			return err
		}
		// Such as no file descriptor left, until other connections are closed.
		s.config.Logger.Warn("accepting failed, trying again", zap.Error(err), zap.Duration("next_attempt_in", pause))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// begin begins the session of a connection, or closes the connection.
func (s *Server) begin(ctx context.Context, listener net.Listener, conn net.Conn, secure *tls.Config, running *sync.WaitGroup) {
	session, handlers := newSession(ctx, s, listener, conn)
	if s.config.Admit != nil && s.config.Admit(session) != nil {
		session.Reset()
		return
	}
	if !s.addSession(session) {
		session.Reset()
		s.reject(session, fmt.Errorf("%w: the limit is %d", ErrTooManyConnections, s.config.Connections))
		return
	}
	running.Go(func() {
		defer s.endSession(session)
		session.serve(handlers, secure)
	})
	if ctx.Err() != nil {
		// The session came too late for closeListener.
		session.Close()
	}
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// addListener reports false when the server is stopped.
func (s *Server) addListener(listener net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.listeners[listener] = true
	}
	return !s.stopped
}

func (s *Server) removeListener(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, listener)
}

// addSession reports false when the server is stopped or has as many sessions as it may.
func (s *Server) addSession(session *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.sessions) >= s.config.Connections {
		return false
	}
	s.sessions[session] = true
	return true
}

func (s *Server) endSession(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	close(session.ended)
}

// reject reports a session that ended before OnSession.
func (s *Server) reject(session *Session, reason error) {
	if s.config.OnReject != nil {
		s.config.OnReject(session, reason)
		return
	}
	s.config.Logger.Warn("connection refused", zap.Stringer("address", session.RemoteAddr()), zap.Error(reason))
}

// Shutdown closes the listeners at once, lets every session finish the calls that it has received, and waits until the
// sessions have ended. If ctx ends first, Shutdown closes the remaining sessions and returns the cause.
//
// A handler that calls Shutdown must pass its own context. Shutdown then returns without waiting, because the handler's
// session cannot end before the handler has returned. Serve returns when all sessions have ended.
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

// Close closes the listeners and all connections at once and ends the handlers' contexts. Close does not wait until the
// sessions have ended, but Serve does. It may be called more than once and always returns nil.
func (s *Server) Close() error {
	for _, session := range s.stop() {
		session.Close()
	}
	return nil
}

// CloseSessions closes all connections at once, as rpclib's close_sessions does. The server continues to accept
// connections.
func (s *Server) CloseSessions() {
	for _, session := range s.sessionsOf(nil) {
		session.Close()
	}
}

// closeListener closes a listener and its connections.
func (s *Server) closeListener(listener net.Listener) {
	listener.Close()
	for _, session := range s.sessionsOf(listener) {
		session.Close()
	}
}

// sessionsOf returns the sessions of a listener; nil means those of all.
func (s *Server) sessionsOf(listener net.Listener) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessionsOfLocked(listener)
}

func (s *Server) sessionsOfLocked(listener net.Listener) []*Session {
	var sessions []*Session
	for session := range s.sessions {
		if listener == nil || session.listener == listener {
			sessions = append(sessions, session)
		}
	}
	return sessions
}

// stop closes the listeners, lets no new session begin and returns those there are.
func (s *Server) stop() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for listener := range s.listeners {
		listener.Close()
	}
	return s.sessionsOfLocked(nil)
}
