package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config configures a Server. A request for a function that is nil gets a 501. The server calls the functions from
// several goroutines. Their context ends when the client leaves, the timeout has passed, or the server stops.
type Config struct {
	// Path is the path of the socket.
	Path string
	// Status returns a snapshot of the module. It is required.
	Status func(ctx context.Context) (*Status, error)
	// Ping makes a round trip to the other board, with a payload of size bytes in both directions. NoPing is the error text
	// where Ping is nil.
	Ping   func(ctx context.Context, size int) (*Pong, error)
	NoPing string
	// Reset resets one board of a station, and returns the board's name. board is the request's name for the board.
	Reset func(ctx context.Context, board string, hard bool) (name string, err error)
	// Logs returns the body of GET /logs. The server closes it.
	Logs func(ctx context.Context) (*Logs, error)
	// Configuration returns the module's configuration for GET /config, and Manifest is the module's manifest. The server
	// shows only values that cannot be secrets. Nil means that the module does not tell it.
	Configuration func() map[string]json.RawMessage
	Manifest      []byte
	// Events has the events of GET /watch.
	Events *Hub
	// Logger logs failed requests. By default nothing is logged.
	Logger *zap.Logger

	// MaxConnections is how many connections may be open at a time. A further one gets a 503. The default is 32.
	MaxConnections int
	// The timeouts of Status (default 5 s), Ping (default 10 s), Reset (default 30 s) and Logs (default 10 minutes).
	StatusTimeout, PingTimeout, ResetTimeout, LogsTimeout time.Duration
	// WriteTimeout is how long a client may take to read each piece of a response. The default is 10 s.
	WriteTimeout time.Duration
	// Heartbeat is how often GET /watch sends a comment, so that a lost watcher is noticed. The default is 15 s.
	Heartbeat time.Duration
}

// Logs is the body of GET /logs.
type Logs struct {
	// Name is the file name that a client should use. ContentType is the media type of Body.
	Name, ContentType string
	// Size is the length of Body in bytes, 0 where it is not known.
	Size int64
	Body io.ReadCloser
}

// Reason is an error that a function of Config returns to choose the HTTP status: 501 if Never is true, otherwise 503.
type Reason struct {
	// Never is true where a later request cannot succeed either.
	Never bool
	Text  string
}

func (r *Reason) Error() string { return r.Text }

// Server serves one status socket.
type Server struct {
	config Config
	socket *socketFile
	http   *http.Server
	// ending is closed when GET /watch is to end.
	ending chan struct{}

	mu     sync.Mutex
	ended  bool
	active sync.WaitGroup
}

// Listen opens the socket at config.Path. It fails if another process serves a socket at this path. The caller must
// call Serve or Close.
func Listen(config Config) (*Server, error) {
	if config.Status == nil {
		return nil, errors.New("control: Config.Status is missing")
	}
	config = config.withDefaults()
	socket, err := openSocket(config.Path)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, socket: socket, ending: make(chan struct{})}
	errorLog, err := zap.NewStdLogAt(config.Logger, zap.DebugLevel)
	if err != nil {
		socket.Close()
		return nil, err
	}
	s.http = &http.Server{
		Handler: s.handler(), ErrorLog: errorLog,
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 32
	}
	for _, field := range []struct {
		value   *time.Duration
		without time.Duration
	}{
		{&c.StatusTimeout, 5 * time.Second}, {&c.PingTimeout, 10 * time.Second}, {&c.ResetTimeout, 30 * time.Second},
		{&c.LogsTimeout, 10 * time.Minute},
		{&c.WriteTimeout, 10 * time.Second}, {&c.Heartbeat, 15 * time.Second},
	} {
		if *field.value <= 0 {
			*field.value = field.without
		}
	}
	return c
}

// Serve handles requests until ctx ends, and returns nil then. On return no goroutine of the server runs any longer.
// Serve may be called once.
func (s *Server) Serve(ctx context.Context) error {
	// Requests end with ctx, so that no function of the config outlives the module.
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	var ending sync.WaitGroup
	served := make(chan struct{})
	ending.Go(func() {
		select {
		case <-ctx.Done():
		case <-served:
		}
		close(s.ending)
		// One second for responses that are being written.
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			s.http.Close()
		}
	})
	err := s.http.Serve(&limitListener{Listener: s.socket, open: make(chan struct{}, s.config.MaxConnections)})
	close(served)
	ending.Wait()
	s.socket.Close()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.active.Wait()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("control: %w", err)
}

// enter reports whether a request may be handled, and counts it as active then.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.active.Add(1)
	}
	return !s.ended
}

// Close closes a server for which Serve is not called.
func (s *Server) Close() error { return s.socket.Close() }

// limitListener is a listener with a connection limit. A connection above the limit gets an error response, not a wait.
type limitListener struct {
	net.Listener
	open chan struct{} // has an element for each open connection
}

const overLimit = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
	`{"error":"control: too many connections at a time: close some"}` + "\n"

// Accept returns the next connection within the limit.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.open <- struct{}{}:
			return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.open })}, nil
		default:
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			// A client whose write fails does not read the response, so its request is read first.
			_, _ = conn.Read(make([]byte, 4<<10))
			_, _ = conn.Write([]byte(overLimit)) // fits the buffer of a new connection
			_ = conn.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
