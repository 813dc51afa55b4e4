package page

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

//go:embed web
var web embed.FS

const (
	// mostConnections is how many are held at once; others wait in the kernel.
	mostConnections = 256
	// stopLimit is what answers under way have at the end.
	stopLimit = 3 * time.Second
	// writeLimit is what an answer other than the stream may take.
	writeLimit = 30 * time.Second
	// silentAfter is how old the station's state may be for /healthz.
	silentAfter = 10 * time.Second
)

// contentSecurity allows the page its own files, and nothing that a module's text
// could smuggle in.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServerConfig is what a Server needs beside its Station.
type ServerConfig struct {
	// Hosts are names, beside localhost, under which the server is reached.
	Hosts []string
	// Version of the program, for /metrics.
	Version string
	Logger  *zap.Logger
}

// Server shows a Station over HTTP.
type Server struct {
	handler http.Handler
	log     *zap.Logger
	ending  context.CancelFunc
}

// NewServer returns the server of a station that somebody runs.
func NewServer(station *Station, config ServerConfig) (*Server, error) {
	files, err := fs.Sub(web, "web")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	done, ending := context.WithCancel(context.Background())
	streams := newStreams(station, done.Done())
	registry := prometheus.NewRegistry()
	if err := registry.Register(newCollector(station, streams.open, cmp.Or(config.Version, "unknown"))); err != nil {
		ending()
		return nil, fmt.Errorf("page: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /events", streams)
	mux.Handle("GET /metrics", limited(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	mux.Handle("GET /status.json", limited(statusHandler(station)))
	mux.Handle("GET /healthz", limited(healthHandler(station)))
	log := config.Logger
	if log == nil {
		log = zap.NewNop()
	}
	return &Server{handler: newHosts(config.Hosts).guard(secured(mux)), log: log, ending: ending}, nil
}

// Handler is what the server answers with.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers on the listener, which it closes, until the context ends, and
// returns nil then.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(s.log),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, mostConnections)) }()
	var failure error
	select {
	case failure = <-ended:
		s.ending()
	case <-ctx.Done():
		s.ending()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		if server.Shutdown(limit) != nil {
			_ = server.Close()
		}
		failure = <-ended
	}
	if errors.Is(failure, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("page: %w", failure)
}

// secured adds what a browser needs to know to keep the page by itself.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentSecurity)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, request)
	})
}

// limited bounds how long an answer may take to be read.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeLimit))
		next.ServeHTTP(w, request)
	})
}

// Snapshot is /status.json.
type Snapshot struct {
	Time time.Time `json:"time"`
	Name string    `json:"name"`
	// Level is the worst of the boards'.
	Level  Level   `json:"level"`
	Boards []Board `json:"boards"`
}

// Snapshot is what the page shows now, with the modules' own snapshots.
func (s *Station) Snapshot() Snapshot {
	s.lock.Lock()
	defer s.lock.Unlock()
	snapshot := Snapshot{Time: s.time, Name: s.config.Name, Boards: s.shown(true)}
	for _, board := range snapshot.Boards {
		snapshot.Level = max(snapshot.Level, board.Level)
	}
	return snapshot
}

func statusHandler(station *Station) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(station.Snapshot())
	})
}

func healthHandler(station *Station) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if age := time.Since(station.Time()); age > silentAfter {
			http.Error(w, "the control sockets are not being read", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "ok")
	})
}
