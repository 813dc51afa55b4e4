package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc/internal/msgpack"
)

// Handler answers the calls of one function. What it returns is encoded as the result, or, with an error, answered as
// rpclib answers an exception with that text; see ErrorValue and NoReply for the other answers.
type Handler func(ctx context.Context, request *Request) (any, error)

// Request is one call or notification as a Handler sees it.
type Request struct {
	// Method is the function that was called.
	Method string
	// Args is the encoded array of arguments, valid until the handler returns.
	Args Raw
	// Notification says that nobody waits for a reply.
	Notification bool
}

// NumArgs is how many arguments came.
func (r *Request) NumArgs() int { return argumentCount(r.Args) }

// Decode decodes the arguments into what the pointers point to, one each; it fails when there are not as many.
func (r *Request) Decode(dst ...any) error {
	head, err := msgpack.ReadHead(r.Args)
	if err != nil {
		return err
	}
	if r.NumArgs() != len(dst) {
		return &arityError{method: r.Method, given: r.NumArgs(), declared: len(dst)}
	}
	if head.Kind != msgpack.Array {
		if len(dst) == 0 {
			return nil
		}
		return ErrType
	}
	rest := []byte(r.Args)[head.Size:]
	for _, target := range dst {
		if rest, err = decode(rest, target); err != nil {
			return err
		}
	}
	return nil
}

type arityError struct {
	method          string
	given, declared int
}

func (e *arityError) Error() string { return textArity(e.method, e.given, e.declared) }

func argumentCount(args Raw) int {
	head, err := msgpack.ReadHead(args)
	if err != nil {
		return 0
	}
	switch head.Kind {
	case msgpack.Array, msgpack.Map, msgpack.String, msgpack.Binary, msgpack.Extension, msgpack.Unsigned:
		return int(uint32(head.Bits))
	default:
		return 0
	}
}

// HandlerOption changes how a function is served.
type HandlerOption func(*bound)

// NonBlocking declares that the function never waits: it is then run on the goroutine that reads the connection, which
// saves a switch of goroutines for each call.
func NonBlocking() HandlerOption { return func(b *bound) { b.nonBlocking = true } }

type bound struct {
	name        string
	handler     Handler
	nonBlocking bool
}

// Session is one connection of a client as a handler sees it.
type Session struct {
	server *Server
	conn   net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	exit   bool
}

type sessionKey struct{}

// SessionFrom answers the session that a handler's context belongs to, nil for other contexts.
func SessionFrom(ctx context.Context) *Session {
	session, _ := ctx.Value(sessionKey{}).(*Session)
	return session
}

// RemoteAddr is the address of the client.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// LocalAddr is the address of this end.
func (s *Session) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// CloseAfterReply ends the session when the reply of the call under way has been sent, as rpclib's post_exit does. Calls
// behind it are not answered.
func (s *Session) CloseAfterReply() {
	s.mu.Lock()
	s.exit = true
	s.mu.Unlock()
}

// Close ends the session at once.
func (s *Session) Close() error { return s.conn.Close() }

// Server serves functions to any number of connections.
type Server struct {
	config   ServerConfig
	mu       sync.Mutex
	bound    map[string]*bound
	listener map[net.Listener]bool
	sessions map[*Session]bool
	stopped  bool
	running  sync.WaitGroup
}

// NewServer makes a server without functions.
func NewServer(config ServerConfig) *Server {
	return &Server{config: config.withDefaults(), bound: map[string]*bound{}, listener: map[net.Listener]bool{}, sessions: map[*Session]bool{}}
}

// Handle binds a function without reflection. It fails when the name is bound.
func (s *Server) Handle(name string, handler Handler, options ...HandlerOption) error {
	b := &bound{name: name, handler: handler}
	for _, option := range options {
		option(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound[name] != nil {
		return errors.New(textAlreadyBound(name))
	}
	s.bound[name] = b
	return nil
}

// Unbind takes a function away; an unknown name is no error.
func (s *Server) Unbind(name string) {
	s.mu.Lock()
	delete(s.bound, name)
	s.mu.Unlock()
}

// Bind binds any Go function: an optional leading context.Context, any arguments, and nothing, a result, an error or both
// as what it returns.
func (s *Server) Bind(name string, function any, options ...HandlerOption) error {
	fn := reflect.ValueOf(function)
	if fn.Kind() != reflect.Func {
		return fmt.Errorf("rpc: binding %s: a %T is no function", name, function)
	}
	kind := fn.Type()
	first := 0
	if kind.NumIn() > 0 && kind.In(0) == reflect.TypeFor[context.Context]() {
		first = 1
	}
	return s.Handle(name, func(ctx context.Context, request *Request) (any, error) {
		in := make([]reflect.Value, kind.NumIn())
		dst := make([]any, 0, kind.NumIn())
		for i := first; i < len(in); i++ {
			in[i] = reflect.New(kind.In(i))
			dst = append(dst, in[i].Interface())
		}
		if err := request.Decode(dst...); err != nil {
			return nil, err
		}
		for i := first; i < len(in); i++ {
			in[i] = in[i].Elem()
		}
		if first == 1 {
			in[0] = reflect.ValueOf(ctx)
		}
		out := fn.Call(in)
		var result any
		for _, value := range out {
			if value.Type() == reflect.TypeFor[error]() {
				if !value.IsNil() {
					return nil, value.Interface().(error)
				}
				continue
			}
			result = value.Interface()
		}
		return result, nil
	}, options...)
}

// Serve accepts connections from the listener and serves them until Shutdown, Close or the end of ctx, which are no
// errors. It returns when every session has ended.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if _, tcp := listener.(*net.TCPListener); tcp && s.config.TLS == nil && !s.config.InsecurePlaintext {
		return ErrPlaintext
	}
	if s.config.TLS != nil {
		listener = tls.NewListener(listener, s.config.TLS)
	}
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		listener.Close()
		return nil
	}
	s.listener[listener] = true
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if err != nil {
			s.running.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.stopped {
				return nil
			}
			return fmt.Errorf("rpc: accepting on %s: %w", listener.Addr(), err)
		}
		session := &Session{server: s, conn: conn}
		session.ctx, session.cancel = context.WithCancel(context.WithValue(ctx, sessionKey{}, session))
		s.mu.Lock()
		s.sessions[session] = true
		s.mu.Unlock()
		s.running.Go(session.serve)
	}
}

func (s *Session) serve() {
	defer s.cancel()
	defer s.conn.Close()
	if s.server.config.OnSession != nil {
		s.server.config.OnSession(s)
	}
	queue := make(chan []byte, s.server.config.Limits.InFlight)
	var worker sync.WaitGroup
	worker.Go(func() {
		for frame := range queue {
			if err := s.handle(frame); err != nil {
				s.conn.Close()
			}
		}
	})
	err := readFrames(s.conn, s.server.config.Limits, func(frame []byte) error {
		queue <- frame
		return nil
	})
	s.cancel()
	close(queue)
	worker.Wait()
	s.server.mu.Lock()
	delete(s.server.sessions, s)
	s.server.mu.Unlock()
	if s.server.config.OnSessionEnd != nil {
		s.server.config.OnSessionEnd(s, err)
	}
}

func (s *Session) handle(frame []byte) error {
	head, _ := msgpack.ReadHead(frame)
	if head.Kind != msgpack.Array || head.Bits < 3 || head.Bits > 4 {
		return nil
	}
	rest, _ := skip(frame[head.Size:])
	var id uint64
	var err error
	if head.Bits == 4 {
		if rest, err = decode(rest, &id); err != nil {
			return err
		}
	}
	var method string
	if rest, err = decode(rest, &method); err != nil {
		return err
	}
	request := &Request{Method: method, Args: rest, Notification: head.Bits == 3}
	s.server.mu.Lock()
	b := s.server.bound[method]
	s.server.mu.Unlock()
	var result, failure any
	if b == nil {
		failure = textNotFound([]byte(method), request.NumArgs())
	} else {
		result, err = b.handler(s.ctx, request)
		var value ErrorValue
		var arity *arityError
		switch {
		case errors.Is(err, NoReply):
			return nil
		case errors.As(err, &value):
			failure = value.Value
		case errors.As(err, &arity):
			failure = err.Error()
		case errors.Is(err, ErrType):
			failure = textException(method, request.NumArgs(), badCast)
		case err != nil:
			failure = textException(method, request.NumArgs(), err.Error())
		}
	}
	if head.Bits == 4 {
		b := msgpack.AppendUint([]byte{0x94, 1}, id)
		if b, err = appendValue(b, failure, 32); err != nil {
			return err
		}
		if failure != nil {
			result = nil
		}
		if b, err = appendValue(b, result, 32); err != nil {
			return err
		}
		if _, err := s.conn.Write(b); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit {
		return s.conn.Close()
	}
	return nil
}

// Shutdown stops accepting, lets the calls under way finish and ends every session. From inside a handler, with the
// handler's context, it returns at once and the session ends after the handler's reply.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	for listener := range s.listener {
		listener.Close()
	}
	sessions := s.sessions
	s.sessions = map[*Session]bool{}
	s.mu.Unlock()
	own := SessionFrom(ctx)
	for session := range sessions {
		if session == own {
			session.CloseAfterReply()
		} else {
			session.conn.SetReadDeadline(time.Now())
		}
	}
	if own == nil {
		s.running.Wait()
	}
	return nil
}

// Close stops accepting and ends every session at once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.stopped = true
	for listener := range s.listener {
		listener.Close()
	}
	for session := range s.sessions {
		session.conn.Close()
	}
	s.mu.Unlock()
	return nil
}
