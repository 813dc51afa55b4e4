package scenario

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"
)

// put is how the backend's file server treats an upload.
type put uint8

const (
	store put = iota
	// fail replies 500.
	fail
	// hold replies nothing until the client is gone.
	hold
)

// uploads is the backend's file server, which stores PUTs in a directory.
type uploads struct {
	location string
	stop     func()
	// attempts is the number of PUTs, and held receives a value when a PUT is held.
	attempts atomic.Int64
	held     chan struct{}
}

// serveUploads starts a file server. puts are for its first uploads, and it stores all later ones.
func serveUploads(directory string, puts ...put) (*uploads, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &uploads{location: "http://" + listener.Addr().String() + "/", held: make(chan struct{}, len(puts))}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		treat := store
		if n := u.attempts.Add(1); n <= int64(len(puts)) {
			treat = puts[n-1]
		}
		if treat != store {
			_, _ = io.Copy(io.Discard, request.Body) // its error is the end of the client
			if treat == hold {
				u.held <- struct{}{}
				<-request.Context().Done()
			}
			http.Error(reply, "out of order", http.StatusInternalServerError)
			return
		}
		file, err := os.Create(filepath.Join(directory, path.Base(request.URL.Path)))
		if err == nil {
			_, err = io.Copy(file, request.Body)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			http.Error(reply, err.Error(), http.StatusInternalServerError)
			return
		}
		reply.WriteHeader(http.StatusCreated)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // it ends when stop closes it
	}()
	u.stop = func() { server.Close(); <-done }
	return u, nil
}
