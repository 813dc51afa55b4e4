package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// failure is the JSON of an answer that is an error.
type failure struct {
	Error string `json:"error"`
}

// bodyPatience is how long a connection is kept for the rest of a request that is refused.
const bodyPatience = time.Second

// handler answers the requests of doc.go.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, way := range map[string]struct {
		method string
		handle http.HandlerFunc
	}{
		"/status": {http.MethodGet, s.status},
		"/watch":  {http.MethodGet, s.watch},
		"/ping":   {http.MethodPost, s.ping},
		"/logs":   {http.MethodGet, s.logs},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != way.method {
				w.Header().Set("Allow", way.method)
				s.fail(w, http.StatusMethodNotAllowed, path+" wants "+way.method)
				return
			}
			way.handle(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, http.StatusNotFound, "there are GET /status, GET /watch, POST /ping and GET /logs")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			return
		}
		defer s.active.Done()
		if r.ContentLength != 0 {
			// What is announced is read to its end, which may never come.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
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

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	if s.config.Ping == nil {
		s.failWith(w, &Reason{Never: true, Text: or(s.config.NoPing, "this module has no other board to ping")})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.PingTimeout)
	defer cancel()
	pong, err := s.config.Ping(ctx)
	s.answer(w, pong, err)
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
	if _, err := io.Copy(s.patient(w), logs.Body); err != nil {
		s.config.Logger.Debug("the logs were not taken to their end", zap.Error(err))
		panic(http.ErrAbortHandler) // otherwise a part would look like the whole
	}
}

// answer writes what a function of the Config has returned.
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
		s.config.Logger.Error("an answer of the control socket cannot be written", zap.Error(err))
		status, text = http.StatusInternalServerError, []byte(`{"error":"control: the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // one who has gone does not want it any more
}

// patient gives each piece of an answer its time.
func (s *Server) patient(w http.ResponseWriter) io.Writer {
	return &patientWriter{w: w, control: http.NewResponseController(w), patience: s.config.WriteTimeout}
}

type patientWriter struct {
	w        io.Writer
	control  *http.ResponseController
	patience time.Duration
}

func (p *patientWriter) Write(piece []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(p.patience)); err != nil {
		return 0, err
	}
	return p.w.Write(piece)
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}
