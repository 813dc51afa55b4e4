package control

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// allocated returns how many bytes do allocates, with what runs beside it.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzServer sends a status socket whatever another process of the board may send: it answers or ends the connection, in
// bounded memory, and goes on.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"GET /status HTTP/1.1\r\nHost: m\r\n\r\n", "POST /ping?size=1 HTTP/1.1\r\nHost: m\r\nContent-Length: 9999999\r\n\r\n", "GET /watch HTTP/1.0\r\n\r\n",
		"POST /ping?size=-9999999999999999999 HTTP/1.1\r\nHost: m\r\n\r\n", "POST /reset?board=x&type=Hard HTTP/1.1\r\nHost: m\r\n\r\n", "GET /logs HTTP/1.1\r\nHost: m\r\n\r\n",
		"GET /../../etc HTTP/1.1\r\nHost: m\r\n\r\n", "GET /status HTTP/1.1\r\nHost: m\r\n" + strings.Repeat("A: b\r\n", 5000) + "\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\xff",
		"POST /ping HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "s")
	server, err := Listen(Config{Path: path, Status: func(context.Context) (*Status, error) { return &Status{Module: "m"}, nil }})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	f.Cleanup(func() {
		cancel()
		<-served
	})
	f.Fuzz(func(t *testing.T, sent []byte) {
		used := allocated(func() {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(sent) // the server may close a connection while it is sent more
			conn.(*net.UnixConn).CloseWrite()
			// A watcher gets events until it goes.
			conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			io.Copy(io.Discard, conn)
		})
		if most := uint64(2<<20 + 64*len(sent)); used > most {
			t.Errorf("%d bytes take %d bytes of memory, want at most %d", len(sent), used, most)
		}
		client := Dial(path)
		defer client.Close()
		if status, err := client.Status(t.Context()); err != nil || status.Module != "m" {
			t.Fatalf("after %q: %v, %v", sent, status, err)
		}
	})
}

// FuzzClient answers a client whatever a module that was taken over may answer: each call returns, in bounded memory.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\n\r\ndata: {\"kind\":\"state\"}\n\n", "HTTP/1.1 500 x\r\nContent-Length: 15\r\n\r\n{\"error\":\"text\"}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "HTTP/1.1 301 x\r\nLocation: http://module/status\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 5000) + "\r\n", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("[", 10_000), "HTTP/1.1 200 OK\r\n\r\ndata: " + strings.Repeat("[", 10_000) + "\n",
		"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=../../x\r\n\r\nlogs", "\x00",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		f.Fatal(err)
	}
	answers, ended := make(chan []byte), make(chan struct{})
	var answering sync.WaitGroup
	f.Cleanup(func() {
		listener.Close()
		close(ended)
		answering.Wait()
	})
	answering.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var answer []byte
			select {
			case answer = <-answers:
			case <-ended:
			}
			request := make([]byte, 4096)
			conn.Read(request)
			conn.Write(answer) // the client may go before it has everything
			conn.Close()
		}
	})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if bytes.HasPrefix(answer, []byte("HTTP/1.1 3")) {
			return // a redirect asks again, and nobody answers
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		client := Dial(path)
		defer client.Close()
		for _, call := range []func(){
			func() { client.Status(ctx) },
			func() { client.Ping(ctx) },
			func() { client.Watch(ctx, func(Event) {}) },
			func() {
				client.Logs(ctx, func(name string) (io.Writer, error) {
					if strings.Contains(name, "/") {
						t.Errorf("the logs are named %q", name)
					}
					return io.Discard, nil
				})
			},
		} {
			used := allocated(func() {
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					select {
					case answers <- answer:
					case <-ctx.Done():
					}
				}()
				call()
				<-answered
			})
			if most := uint64(2<<20 + 200*len(answer)); used > most {
				t.Errorf("%d bytes take %d bytes of memory, want at most %d", len(answer), used, most)
			}
		}
	})
}
