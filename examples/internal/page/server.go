// Package page has the HTTP server of `satctl serve`: a page for people and metrics for Prometheus that show the
// modules of a station.
//
//	status sockets -> Station (station.go, watch.go, assess.go, history.go) -> Server -> browsers, Prometheus
//
// A Station reads every status socket of its directories once a second, each on its own goroutine, so that a hanging
// module delays no other. It rates what it reads, keeps five minutes of it for the charts, and lists the changes. A
// module that does not respond stays on the page as down; one whose socket is gone does so until Config.Forget has
// passed.
//
//	/             the page: one document, a style sheet and scripts, all embedded
//	/events       the content of the page, as server-sent events
//	/status.json  the same for programs, with each module's own snapshot
//	/metrics      the same for Prometheus; metric.go has the list
//	/healthz      200 while the sockets are being read
//
// The page treats text from a module as text, never as markup, and its Content-Security-Policy allows only embedded
// files. A request is rejected unless its Host is an address or a configured name, so that no foreign page can reach
// the server by DNS rebinding. There is no authentication: every client that reaches the port can read the page.
// Nothing can be changed through it.
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

	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

//go:embed web
var web embed.FS

const (
	// maxConnections is how many connections are open at a time. Further ones wait in the kernel.
	maxConnections = 256
	// stopLimit is how long running responses may take after the end of Serve's context before they are cut.
	stopLimit = 3 * time.Second
	// writeLimit is how long a response other than a stream may take before its connection is closed.
	writeLimit = 30 * time.Second
	// silentAfter is how old the station's state may be before /healthz reports a failure.
	silentAfter = 10 * time.Second
)

// contentSecurity allows only the page's own files, so that no text of a module can load or run anything.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServerConfig configures a Server.
type ServerConfig struct {
	// Hosts are the names of the server besides localhost.
	Hosts []string
	// Version is the version of the program, for /metrics.
	Version string
	Logger  *zap.Logger
}

// Server serves a Station over HTTP.
type Server struct {
	handler http.Handler
	log     *zap.Logger
	ending  context.CancelFunc
}

// NewServer returns the server of a station. The caller runs the station.
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
	return &Server{handler: newHosts(config.Hosts).restrict(secured(mux)), log: log, ending: ending}, nil
}

// Handler returns the handler of all requests.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve serves requests until ctx ends, and returns nil then. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(s.log),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
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

// secured adds the headers that make a browser isolate the page.
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

// limited bounds how long a response may take.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeLimit))
		next.ServeHTTP(w, request)
	})
}

// Snapshot is the JSON of /status.json.
type Snapshot struct {
	Time time.Time `json:"time"`
	Name string    `json:"name"`
	// Level is the worst level of the boards.
	Level  verdict.Level `json:"level"`
	Boards []Board       `json:"boards"`
	// Events are those of the last day, the oldest first.
	Events []events.Event `json:"events"`
}

// Snapshot returns the content of the page, with the modules' own snapshots.
func (s *Station) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := Snapshot{Time: s.time, Name: s.config.Name, Boards: s.shownLocked(true), Events: append([]events.Event{}, s.events...)}
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
			http.Error(w, "the status sockets are not being read", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "ok")
	})
}
