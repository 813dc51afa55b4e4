package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience ends a test that would hang.
const patience = 60 * time.Second

// serve runs a server until the test ends. The returned function ends it earlier.
func serve(t *testing.T, config Config) (*Client, func()) {
	t.Helper()
	if config.Path == "" {
		config.Path = filepath.Join(shortDirectory(t), "module.sock")
	}
	if config.Status == nil {
		config.Status = func(context.Context) (*Status, error) {
			return &Status{Module: "SatelliteAgent", ModuleID: "agent", State: "Working", Health: Healthy}, nil
		}
	}
	server, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	client := Dial(config.Path)
	t.Cleanup(func() { client.Close(); stop() })
	return client, stop
}

func TestStatusPingLogs(t *testing.T) {
	client, _ := serve(t, Config{
		Ping: func(_ context.Context, size int) (*Pong, error) {
			return &Pong{Seconds: 0.001, Peer: "10.0.0.2:4129", Dialect: "v2", Size: size % 1000}, nil
		},
		Logs: func(context.Context) (*Logs, error) {
			return &Logs{Name: "agent.log", ContentType: "text/plain", Body: io.NopCloser(strings.NewReader("one\ntwo\n"))}, nil
		},
	})
	status, err := client.Status(t.Context())
	if err != nil || status.ModuleID != "agent" || status.Health != Healthy {
		t.Errorf("status %+v, %v", status, err)
	}
	pong, err := client.Ping(t.Context())
	if err != nil || pong.Peer != "10.0.0.2:4129" {
		t.Errorf("pong %+v, %v", pong, err)
	}
	if pong, err = client.PingSize(t.Context(), 7); err != nil || pong.Size != 7 {
		t.Errorf("pong %+v, %v", pong, err)
	}
	if _, err = client.PingSize(t.Context(), 1007); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a module that leaves the size out: %v", err)
	}
	var refused *AnswerError
	if _, err = client.PingSize(t.Context(), -1); !errors.As(err, &refused) || refused.StatusCode != http.StatusBadRequest {
		t.Errorf("a size below 0: %v", err)
	}
	var text bytes.Buffer
	name := ""
	err = client.Logs(t.Context(), func(proposed string) (io.Writer, error) { name = proposed; return &text, nil })
	if err != nil || name != "agent.log" || text.String() != "one\ntwo\n" {
		t.Errorf("logs %q in %q, %v", text.String(), name, err)
	}
}

func TestReset(t *testing.T) {
	client, _ := serve(t, Config{Reset: func(_ context.Context, board string, hard bool) (string, error) {
		if board != "connector_2 & more" {
			return "", &Reason{Text: board + " is away"}
		}
		return fmt.Sprintf("1_%s %t", board, hard), nil
	}})
	for _, hard := range []bool{false, true} {
		name, err := client.Reset(t.Context(), "connector_2 & more", hard)
		if err != nil || name != fmt.Sprintf("1_connector_2 & more %t", hard) {
			t.Errorf("%q, %v", name, err)
		}
	}
	var answer *AnswerError
	if _, err := client.Reset(t.Context(), "3", false); !errors.As(err, &answer) || answer.StatusCode != http.StatusServiceUnavailable || answer.Text != "3 is away" {
		t.Errorf("error %v", err)
	}
	other, _ := serve(t, Config{})
	if _, err := other.Reset(t.Context(), "3", false); !errors.Is(err, ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

func TestErrorResponses(t *testing.T) {
	hanging := func(ctx context.Context, _ int) (*Pong, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("the satellite did not answer: %w", ctx.Err())
	}
	for name, test := range map[string]struct {
		config Config
		status int
		text   string
	}{
		"never":   {Config{NoPing: "ask the controller"}, http.StatusNotImplemented, "ask the controller"},
		"not now": {Config{Ping: func(context.Context, int) (*Pong, error) { return nil, errors.New("no link") }}, http.StatusServiceUnavailable, "no link"},
		"hanging": {Config{Ping: hanging, PingTimeout: time.Millisecond}, http.StatusGatewayTimeout, "the satellite did not answer: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := serve(t, test.config)
			_, err := client.Ping(t.Context())
			var answer *AnswerError
			if !errors.As(err, &answer) || answer.StatusCode != test.status || answer.Text != test.text {
				t.Errorf("error %v", err)
			}
			if errors.Is(err, ErrUnsupported) != (test.status == http.StatusNotImplemented) {
				t.Errorf("ErrUnsupported: %v", errors.Is(err, ErrUnsupported))
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	_, err := Dial(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestRejectedRequests(t *testing.T) {
	client, _ := serve(t, Config{})
	for _, test := range []struct {
		request string
		status  string
	}{
		{"POST /status HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed"},
		{"GET /elsewhere HTTP/1.1\r\nHost: m\r\n\r\n", "404 Not Found"},
		{"POST /ping HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc", "413 Request Entity Too Large"},
		{"POST /ping HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n", "413 Request Entity Too Large"},
		{"GET /status HTTP/1.1\r\nHost: m\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{"hello\r\n\r\n", "400 Bad Request"},
	} {
		connection, err := net.Dial("unix", client.Path())
		if err != nil {
			t.Fatal(err)
		}
		_ = connection.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(connection, test.request) // the answer may come before all of it is taken
		answer := make([]byte, 200)
		n, _ := io.ReadAtLeast(connection, answer, 15)
		if line, _, _ := strings.Cut(string(answer[:n]), "\r\n"); line != "HTTP/1.1 "+test.status {
			t.Errorf("%.30q: answer %q, want %q", test.request, line, test.status)
		}
		connection.Close()
	}
}

// A body that is announced and never sent must not occupy a connection for ever.
func TestBodyThatNeverComes(t *testing.T) {
	client, _ := serve(t, Config{})
	for _, request := range []string{
		"POST /ping HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\n",
		"POST /ping HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"POST /status HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\n",
		"GET /elsewhere HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\n",
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			connection, err := net.Dial("unix", client.Path())
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			_ = connection.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(connection, request); err != nil {
				t.Error(err)
			}
			if answer, err := io.ReadAll(connection); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("%.30q: %.30q, then %v, want an answer and the end of the connection", request, answer, err)
			}
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	client, _ := serve(t, Config{MaxConnections: 1, Events: &Hub{}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	response, err := client.do(ctx, http.MethodGet, "/watch")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Status(t.Context())
	var answer *AnswerError
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("error %v", err)
	}
	cancel()
	response.Body.Close()
	for begin := time.Now(); ; {
		if _, err = client.Status(t.Context()); err == nil {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("the closed connection still counts: %v", err)
		}
	}
}
