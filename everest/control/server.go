package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config is a module's side of its control socket. A nil function is one that the module cannot do: it is answered with 501.
// The functions are called from several goroutines at once, with a context that ends with the request and its time.
type Config struct {
	// Path of the socket.
	Path string
	// Status makes a snapshot. Required.
	Status func(ctx context.Context) (*Status, error)
	// Ping makes a round trip to the other board. NoPing says why there is none.
	Ping   func(ctx context.Context) (*Pong, error)
	NoPing string
	// Logs answers what GET /logs delivers; it is closed afterwards.
	Logs func(ctx context.Context) (*Logs, error)
	// Events are those of GET /watch.
	Events *Hub
	// Logger takes what goes wrong with requests; nil takes nothing.
	Logger *zap.Logger

	// Connections at a time. Default 32.
	Connections int
	// StatusTimeout bounds Status, default 5 s, PingTimeout Ping, default 10 s, LogsTimeout Logs, default 10 minutes.
	StatusTimeout, PingTimeout, LogsTimeout time.Duration
	// WriteTimeout is how long one who asks may take for each piece of an answer. Default 10 s.
	WriteTimeout time.Duration
	// Heartbeat is the longest pause in the answer to GET /watch: then a comment is sent, so that a watcher that is gone is
	// noticed. Default 15 s.
	Heartbeat time.Duration
}

// Logs is what a module has for GET /logs.
type Logs struct {
	// Name is a file's name for it, ContentType its media type.
	Name, ContentType string
	// Size in bytes, 0 where it is not known beforehand.
	Size int64
	Body io.ReadCloser
}

// A Reason is an error of a Config's function that says whether trying again may help.
type Reason struct {
	// Never: the module cannot do it at all.
	Never bool
	Text  string
}

func (r *Reason) Error() string { return r.Text }

// Server serves one control socket. Listen makes it.
type Server struct {
	config Config
	socket *socketFile
	http   *http.Server
	// ending is closed when watchers are to go.
	ending chan struct{}

	lock   sync.Mutex
	ended  bool
	active sync.WaitGroup
}

// Listen opens the socket. An error is ErrInUse when a living process has it. Without Serve, Close must be called.
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
	if c.Connections <= 0 {
		c.Connections = 32
	}
	for _, field := range []struct {
		value   *time.Duration
		without time.Duration
	}{
		{&c.StatusTimeout, 5 * time.Second}, {&c.PingTimeout, 10 * time.Second}, {&c.LogsTimeout, 10 * time.Minute},
		{&c.WriteTimeout, 10 * time.Second}, {&c.Heartbeat, 15 * time.Second},
	} {
		if *field.value <= 0 {
			*field.value = field.without
		}
	}
	return c
}

// Path is where the socket is.
func (s *Server) Path() string { return s.config.Path }

// Serve answers until the context ends, which is no error, and returns when nothing of it runs any more. It is called once.
func (s *Server) Serve(ctx context.Context) error {
	// A request's context ends with it, so that no function of the module outlives the module.
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	var ending sync.WaitGroup
	served := make(chan struct{})
	ending.Go(func() {
		select {
		case <-ctx.Done():
		case <-served:
		}
		close(s.ending)
		// Answers under way may come to their end.
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			s.http.Close()
		}
	})
	err := s.http.Serve(&crowd{Listener: s.socket, places: make(chan struct{}, s.config.Connections)})
	close(served)
	ending.Wait()
	s.socket.Close()
	s.lock.Lock()
	s.ended = true
	s.lock.Unlock()
	s.active.Wait()
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("control: %w", err)
}

// enter counts a request in, unless the server is at its end.
func (s *Server) enter() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.ended {
		s.active.Add(1)
	}
	return !s.ended
}

// Close ends a server that Serve was not called for.
func (s *Server) Close() error { return s.socket.Close() }
