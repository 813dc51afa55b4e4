package transfer

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/files"
)

// httpReceiver is the HTTP side of a Receiver on one address: PUT of a new file, with basic authentication.
type httpReceiver struct {
	receiver *Receiver
	listener *limitedListener
	http     *http.Server

	mu       sync.Mutex
	stopping bool
	running  sync.WaitGroup
}

func newHTTPReceiver(receiver *Receiver, listener *limitedListener) *httpReceiver {
	s := &httpReceiver{receiver: receiver, listener: listener}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.put), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(receiver.logger),
	}
	return s
}

func (s *httpReceiver) address() net.Addr { return s.listener.Addr() }

func (s *httpReceiver) serve() {
	// Serve ends after stop, and its error only reports that.
	_ = s.http.Serve(s.listener)
	s.running.Wait()
}

func (s *httpReceiver) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.http.Close()
}

// begin counts a request that serve waits for, and reports whether requests are still served.
func (s *httpReceiver) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.running.Add(1)
	return true
}

func (s *httpReceiver) put(reply http.ResponseWriter, request *http.Request) {
	if !s.begin() {
		http.Error(reply, "closing", http.StatusServiceUnavailable)
		return
	}
	defer s.running.Done()
	if request.Method != http.MethodPut {
		reply.Header().Set("Allow", http.MethodPut)
		http.Error(reply, "only PUT", http.StatusMethodNotAllowed)
		return
	}
	peer, err := net.ResolveTCPAddr("tcp", request.RemoteAddr)
	if err != nil {
		http.Error(reply, "no address", http.StatusBadRequest)
		return
	}
	user, password, _ := request.BasicAuth()
	slot, err := s.receiver.login(user, password, peer)
	if err != nil {
		reply.Header().Set("WWW-Authenticate", `Basic realm="log files"`)
		http.Error(reply, err.Error(), http.StatusUnauthorized)
		return
	}
	s.listener.loggedIn(request.RemoteAddr)
	// RFC 9110 section 14.5: such a request has a part of a file, which must not count as the file.
	if _, isPart := request.Header["Content-Range"]; isPart {
		http.Error(reply, "no Content-Range: only whole files", http.StatusBadRequest)
		return
	}
	if request.ContentLength > s.receiver.config.MaxFile {
		http.Error(reply, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.store(slot, http.NewResponseController(reply), request); err != nil {
		http.Error(reply, err.Error(), httpStatus(err))
		return
	}
	reply.WriteHeader(http.StatusCreated)
}

func (s *httpReceiver) store(slot *Slot, controller *http.ResponseController, request *http.Request) error {
	body := &stallReader{controller: controller, request: request, timeout: s.receiver.config.StallTimeout}
	if err := slot.join(body); err != nil {
		return err
	}
	defer slot.leave(body)
	writer, err := slot.create(path.Clean("/"+request.URL.Path), body)
	if err != nil {
		return err
	}
	_, err = writer.ReadFrom(body)
	writer.fail(err)
	if err := writer.Close(); err != nil {
		return err
	}
	slot.confirmed(writer.file)
	return nil
}

// stallReader reads a body, with a deadline for each read.
type stallReader struct {
	controller *http.ResponseController
	request    *http.Request
	timeout    time.Duration
	closed     atomic.Bool
}

func (r *stallReader) Read(p []byte) (int, error) {
	if err := r.controller.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	if r.closed.Load() {
		return 0, errClosed
	}
	return r.request.Body.Read(p)
}

// Close ends a read that waits.
func (r *stallReader) Close() error {
	r.closed.Store(true)
	return r.controller.SetReadDeadline(time.Unix(1, 0))
}

func httpStatus(err error) int {
	switch {
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, files.ErrDiskFull):
		return http.StatusInsufficientStorage
	case errors.Is(err, errExists):
		return http.StatusConflict
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	case errors.Is(err, files.ErrName):
		return http.StatusBadRequest
	case errors.Is(err, errTooMany):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}
