package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/install"
)

// failure is the JSON of an error response.
type failure struct {
	Error string `json:"error"`
}

// bodyTimeout is how long the rest of a rejected request is read before its connection is closed.
const bodyTimeout = time.Second

// handler returns the handler of the requests that doc.go lists.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, route := range map[string]struct {
		method string
		handle http.HandlerFunc
	}{
		"/status": {http.MethodGet, s.status},
		"/watch":  {http.MethodGet, s.watch},
		"/ping":   {http.MethodPost, s.ping},
		"/reset":  {http.MethodPost, s.reset},
		"/logs":   {http.MethodGet, s.logs},
		"/config": {http.MethodGet, s.configuration},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != route.method {
				w.Header().Set("Allow", route.method)
				s.fail(w, http.StatusMethodNotAllowed, path+" needs the method "+route.method)
				return
			}
			route.handle(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, "unknown path: there are GET /status, GET /watch, GET /config, POST /ping, POST /reset and GET /logs")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			return
		}
		defer s.active.Done()
		if r.ContentLength != 0 {
			// net/http reads an announced body to its end, which may never come.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
			w.Header().Set("Connection", "close")
			s.fail(w, http.StatusRequestEntityTooLarge, r.URL.Path+" takes no body")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.config.StatusTimeout)
	defer cancel()
	status, err := s.config.Status(ctx)
	s.answer(w, status, err)
}

func (s *Server) configuration(w http.ResponseWriter, r *http.Request) {
	if s.config.Configuration == nil {
		s.failWith(w, &Reason{Never: true, Text: "this module does not tell its configuration"})
		return
	}
	manifest, err := install.ParseManifest(s.config.Manifest)
	if err != nil {
		s.failWith(w, err)
		return
	}
	s.answer(w, withoutSecrets(manifest.Config, s.config.Configuration()), nil)
}

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	if s.config.Ping == nil {
		s.failWith(w, &Reason{Never: true, Text: cmp.Or(s.config.NoPing, "this module has no other board to ping")})
		return
	}
	size, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("size"), "0"))
	if err != nil || size < 0 {
		s.fail(w, http.StatusBadRequest, "the size of a ping is a number of bytes")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.PingTimeout)
	defer cancel()
	pong, err := s.config.Ping(ctx, size)
	s.answer(w, pong, err)
}

func (s *Server) reset(w http.ResponseWriter, r *http.Request) {
	if s.config.Reset == nil {
		s.failWith(w, &Reason{Never: true, Text: "this module resets no boards: ask the aggregator"})
		return
	}
	query := r.URL.Query()
	kind := cmp.Or(query.Get("type"), "Soft")
	if kind != "Soft" && kind != "Hard" {
		s.fail(w, http.StatusBadRequest, "the type of a reset is Soft or Hard")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.ResetTimeout)
	defer cancel()
	board, err := s.config.Reset(ctx, query.Get("board"), kind == "Hard")
	s.answer(w, ResetBoard{board}, err)
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	if s.config.Logs == nil {
		s.failWith(w, &Reason{Never: true, Text: "this module keeps no log"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.LogsTimeout)
	defer cancel()
	logs, err := s.config.Logs(ctx)
	if err != nil {
		s.failWith(w, err)
		return
	}
	defer logs.Body.Close()
	w.Header().Set("Content-Type", logs.ContentType)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": logs.Name}))
	if logs.Size > 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(logs.Size, 10))
	}
	if _, err := io.Copy(deadlineWriter{w, s.config.WriteTimeout}, logs.Body); err != nil {
		s.config.Logger.Debug("the logs were not read to their end", zap.Error(err))
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}

// watch sends events until the client leaves, is too slow for one write, or the module ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	if s.config.Events == nil {
		s.failWith(w, &Reason{Never: true, Text: "this module has nothing to watch"})
		return
	}
	watcher := s.config.Events.watch()
	defer s.config.Events.leave(watcher)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out, flush := deadlineWriter{w, s.config.WriteTimeout}, http.NewResponseController(w).Flush
	// A client that has received this comment misses no later event.
	if _, err := io.WriteString(out, ": watching\n\n"); err != nil || flush() != nil {
		return
	}
	heartbeat := time.NewTicker(s.config.Heartbeat)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.ending:
			return
		case <-heartbeat.C:
			_, err = io.WriteString(out, ": still here\n\n")
		case <-watcher.filled:
			for _, event := range watcher.take() {
				if err = writeEvent(out, event); err != nil {
					break
				}
			}
		}
		if err == nil {
			err = flush()
		}
		if err != nil {
			s.config.Logger.Debug("a watcher is lost", zap.Error(err))
			return
		}
	}
}

func writeEvent(out io.Writer, event Event) error {
	text, err := json.Marshal(event)
	if err != nil {
		// A value that is not JSON is left out; the event is sent without it.
		event.Value, event.Error = nil, nil
		if text, err = json.Marshal(event); err != nil {
			return err
		}
	}
	piece := make([]byte, 0, len(text)+len(event.Kind)+16)
	piece = append(append(append(piece, "event: "...), event.Kind...), "\ndata: "...)
	_, err = out.Write(append(append(piece, text...), "\n\n"...))
	return err
}

// answer writes the results of a function of the config.
func (s *Server) answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		s.failWith(w, err)
		return
	}
	s.write(w, http.StatusOK, value)
}

func (s *Server) failWith(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	var reason *Reason
	switch {
	case errors.As(err, &reason):
		if reason.Never {
			status = http.StatusNotImplemented
		}
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	}
	s.fail(w, status, err.Error())
}

func (s *Server) fail(w http.ResponseWriter, status int, text string) {
	s.write(w, status, failure{text})
}

func (s *Server) write(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		s.config.Logger.Error("a response of the status socket cannot be encoded", zap.Error(err))
		status, text = http.StatusInternalServerError, []byte(`{"error":"control: the answer cannot be encoded as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // fails only for a client that is gone
}

// deadlineWriter sets a new deadline for each Write.
type deadlineWriter struct {
	http.ResponseWriter
	timeout time.Duration
}

func (d deadlineWriter) Write(piece []byte) (int, error) {
	if err := http.NewResponseController(d.ResponseWriter).SetWriteDeadline(time.Now().Add(d.timeout)); err != nil {
		return 0, err
	}
	return d.ResponseWriter.Write(piece)
}
