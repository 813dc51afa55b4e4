package aggregator

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
)

// oneUpload is the part of EVerest's System that sends logs: it has one upload at a time, and gives it up for the next.
type oneUpload struct {
	board *testBoard

	mu     sync.Mutex
	cancel context.CancelFunc
	gate   chan struct{} // nil: open
	work   sync.WaitGroup
}

// end gives up an upload that is in progress.
func (u *oneUpload) end() {
	u.mu.Lock()
	if u.cancel != nil {
		u.cancel()
	}
	u.mu.Unlock()
	u.work.Wait()
}

func (u *oneUpload) hold() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gate = make(chan struct{})
}

func (u *oneUpload) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.gate)
	u.gate = nil
}

func (u *oneUpload) handle(_ context.Context, request map[string]any) (any, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	answer := "Accepted"
	if u.cancel != nil {
		u.cancel()
		answer = "AcceptedCanceled"
	}
	ctx, cancel := context.WithCancel(context.Background())
	u.cancel = cancel
	gate := u.gate
	u.work.Go(func() { u.upload(ctx, request, gate) })
	return map[string]any{"upload_logs_status": answer, "file_name": "logs.txt"}, nil
}

func (u *oneUpload) upload(ctx context.Context, request map[string]any, gate chan struct{}) {
	status := "Uploaded"
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	kind, _ := request["type"].(string)
	content := fmt.Appendf(nil, "%s of board %d", cmp.Or(kind, "diagnostics"), u.board.index)
	if err := sendTo(ctx, request["location"].(string), "logs.txt", content); err != nil {
		status = "UploadFailure"
	}
	u.mu.Lock()
	if ctx.Err() != nil {
		status = "AcceptedCanceled"
	} else {
		u.cancel()
		u.cancel = nil
	}
	u.mu.Unlock()
	u.board.report(context.Background(), request["request_id"], status)
}

// fileServer is a backend's HTTP server.
type fileServer struct {
	*httptest.Server

	mu       sync.Mutex
	failing  int
	attempts map[string]int    // by name
	contents map[string][]byte // by name
	gate     chan struct{}     // nil: open
	arrived  chan struct{}
}

func newFileServer(t *testing.T) *fileServer {
	s := &fileServer{arrived: make(chan struct{}, 100), attempts: map[string]int{}, contents: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.put))
	t.Cleanup(s.Close)
	return s
}

func (s *fileServer) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name := filepath.Base(r.URL.Path)
	s.mu.Lock()
	gate := s.gate
	s.attempts[name]++
	failing := s.failing > 0
	if failing {
		s.failing--
	}
	s.mu.Unlock()
	s.arrived <- struct{}{}
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	if failing {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contents[name] = body
	w.WriteHeader(http.StatusCreated)
}

func (s *fileServer) fail(times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = times
}

func (s *fileServer) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
}

func (s *fileServer) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gate)
	s.gate = nil
}

// arrival waits until an attempt is being made.
func (s *fileServer) arrival() { <-s.arrived }

// got returns how often an archive was sent, and its content, nil where none is stored.
func (s *fileServer) got(name string) (attempts int, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts[name], s.contents[name]
}

// logRules judges what a backend gets by OCPP's rules alone: OCPP 2.0.1 N01, and the whitepaper and GetDiagnostics of 1.6.
type logRules struct {
	version  ocppframes.Version
	server   *fileServer
	requests map[int64]*ruledRequest // by id
	names    map[string]bool
}

type ruledRequest struct {
	name    string
	retries int
	begun   bool
	end     string
}

// response takes the response to a request.
func (r *logRules) response(t *testing.T, id int64, retries int, response logsResponse) {
	t.Helper()
	running := 0
	for _, request := range r.requests {
		if request.end == "" {
			running++
		}
	}
	switch {
	case response.Status == "Rejected" && response.FileName == "":
		return
	case response.Status == "Accepted", response.Status == "AcceptedCanceled" && running > 0:
	default:
		t.Errorf("%+v while %d requests run", response, running)
	}
	// N01.FR.02: one file, whose name is in the response. Nobody's file overwrites another's.
	if !nameTime.MatchString(response.FileName) || r.names[response.FileName] {
		t.Errorf("the file name is %q", response.FileName)
	}
	if old := r.requests[id]; old != nil && old.end == "" {
		t.Errorf("request %d replaces one with the same id", id)
	}
	r.names[response.FileName] = true
	r.requests[id] = &ruledRequest{name: response.FileName, retries: retries}
}

// frame takes a frame, and reports whether it is the end of its request.
func (r *logRules) frame(t *testing.T, id int64, frame ocppframes.Frame) bool {
	t.Helper()
	action := "LogStatusNotification"
	if id < 0 {
		action = "DiagnosticsStatusNotification"
	}
	status, _ := frame.Payload["status"].(string)
	request := r.requests[id]
	switch {
	case request == nil:
		t.Errorf("%s of a request that was not accepted", frame)
		return false
	case frame.Action != action || (id >= 0 && frame.Payload["requestId"] != id): // N01.FR.07, FR.13
		t.Errorf("%s for request %d", frame, id)
	case request.end != "":
		t.Errorf("%s after its end with %s", frame, request.end)
	case status == "Uploading" && request.begun:
		t.Errorf("%s a second time", frame)
	case status == "Idle":
		t.Errorf("%s without a trigger", frame)
	case status == "Uploading":
		request.begun = true
		return false
	case !request.begun:
		t.Errorf("%s before Uploading", frame)
	}
	request.end = status
	attempts, content := r.server.got(request.name)
	// N01.FR.10: a failure is told after all retries, and an Uploaded is true.
	if attempts > request.retries+1 || (status == "Uploaded") != (content != nil) {
		t.Errorf("%s after %d attempts with %d retries, %d bytes are stored", frame, attempts, request.retries, len(content))
	}
	if content != nil {
		unpack(t, content)
	}
	return true
}

// outcome says what the backend's server has of a request.
func (r *logRules) outcome(id int64) string {
	attempts, content := r.server.got(r.requests[id].name)
	if content == nil {
		return fmt.Sprintf("%d attempts, no archive", attempts)
	}
	var names []string
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return err.Error()
	}
	packed := tar.NewReader(compressed)
	for header, err := packed.Next(); err == nil; header, err = packed.Next() {
		text, _ := io.ReadAll(packed)
		if header.Name != "manifest.json" {
			names = append(names, fmt.Sprintf("%s (%s)", header.Name, text))
		}
	}
	return fmt.Sprintf("%d attempts, an archive with %s", attempts, strings.Join(names, ", "))
}

// over checks that every request that was accepted has its end.
func (r *logRules) over(t *testing.T) {
	t.Helper()
	for id, request := range r.requests {
		if request.end == "" {
			t.Errorf("request %d has no end", id)
		}
	}
}
