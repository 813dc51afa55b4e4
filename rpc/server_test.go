package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// TestOrders begins two slow calls of one function and one of another. They must wait for one another as the server's
// order has it.
func TestOrders(t *testing.T) {
	for _, test := range []struct {
		name  string
		order rpc.Order
		want  []time.Duration
	}{
		{"per connection", rpc.OrderPerConnection, []time.Duration{100, 200, 300}},
		{"per method", rpc.OrderPerMethod, []time.Duration{100, 200, 100}},
		{"none", rpc.OrderNone, []time.Duration{100, 100, 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(n int) int { time.Sleep(100 * time.Millisecond); return n }
				client := connect(t, rpc.ServerConfig{Order: test.order}, func(s *rpc.Server) {
					must(t, s.Bind("slow", slow))
					must(t, s.Bind("other", slow))
				}, rpc.Config{})
				start := time.Now()
				var waiting sync.WaitGroup
				for i, function := range []string{"slow", "slow", "other"} {
					call := client.Go(context.Background(), function, nil, i)
					waiting.Go(func() {
						<-call.Done
						if took := time.Since(start); took != test.want[i]*time.Millisecond || call.Error != nil {
							t.Errorf("call %d, %s, ended after %v with %v, want %v ms", i, function, took, call.Error, int(test.want[i]))
						}
					})
				}
				waiting.Wait()
			})
		})
	}
}

// TestCallsOfOneConnectionKeepTheirOrder mixes functions that run on the reader's goroutine with others.
func TestCallsOfOneConnectionKeepTheirOrder(t *testing.T) {
	var mu sync.Mutex
	var seen []int
	note := func(n int) {
		mu.Lock()
		seen = append(seen, n)
		mu.Unlock()
	}
	client := connect(t, rpc.ServerConfig{}, func(s *rpc.Server) {
		must(t, s.Bind("quick", note, rpc.NonBlocking()))
		must(t, s.Bind("any", note))
	}, rpc.Config{})
	const count = 3000
	var last *rpc.Call
	for i := range count {
		switch i % 7 {
		case 0, 1, 5:
			must(t, client.Notify(t.Context(), "any", i))
		case 2:
			last = client.Go(context.Background(), "any", nil, i)
		default:
			last = client.Go(context.Background(), "quick", nil, i)
		}
		if i%100 == 99 {
			<-last.Done
		}
	}
	must(t, client.Call(t.Context(), "nop", nil))
	mu.Lock()
	defer mu.Unlock()
	for i, n := range seen {
		if i != n {
			t.Fatalf("call %d came at place %d of %d", n, i, len(seen))
		}
	}
	if len(seen) != count {
		t.Errorf("%d of %d calls came", len(seen), count)
	}
}

func TestReplyOfAQuickCallDoesNotWaitForASlowOneBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener, stop := inMemory(t, rpc.ServerConfig{}, func(s *rpc.Server) {
			must(t, s.Bind("any", func() int { return 1 }))
		})
		defer stop()
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		defer conn.Close()
		start := time.Now()
		_, err = conn.Write([]byte("\x94\x00\x01\xa3any\x90\x94\x00\x02\xa5sleep\x91\xcd\x07\xd0"))
		must(t, err)
		answer := make([]byte, 5)
		_, err = io.ReadFull(conn, answer)
		must(t, err)
		if took := time.Since(start); took > time.Millisecond {
			t.Errorf("the first reply came after %v", took)
		}
	})
}

func TestCloseAfterReplySendsAllOfABigReply(t *testing.T) {
	_, addr := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true})
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{InsecurePlaintext: true})
	must(t, err)
	defer client.Close()
	var text string
	if err := client.Call(t.Context(), "s_exit_big", &text, 8_000_000); err != nil || len(text) != 8_000_000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	<-client.Done()
}

func TestServerStopsFromInsideAHandler(t *testing.T) {
	for _, function := range []string{"srv_stop", "srv_stop_exit", "srv_stop_exit_void"} {
		t.Run(function, func(t *testing.T) {
			server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
			must(t, rpctest.BindFunctions(server))
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			served := make(chan error, 1)
			go func() { served <- server.Serve(t.Context(), listener) }()
			addr := listener.Addr().String()
			config := rpc.Config{InsecurePlaintext: true}
			client, err := rpc.Dial(t.Context(), addr, config)
			must(t, err)
			defer client.Close()
			idle, err := rpc.Dial(t.Context(), addr, config)
			must(t, err)
			defer idle.Close()
			must(t, client.Call(t.Context(), function, nil))
			must(t, <-served)
			<-client.Done()
			<-idle.Done()
			if _, err := rpc.Dial(t.Context(), addr, config); err == nil {
				t.Error("a client could connect to a stopped server")
			}
			if err := server.Serve(t.Context(), listener); err != nil {
				t.Errorf("serving again: %v", err)
			}
		})
	}
}

func TestShutdownFinishesWhatWasReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		client, _ := dial(t, listener, rpc.Config{})
		defer client.Close()
		first := client.Go(context.Background(), "sleep", nil, 1000)
		second := client.Go(context.Background(), "sleep", nil, 1000)
		synctest.Wait()
		start := time.Now()
		must(t, server.Shutdown(context.Background()))
		if took := time.Since(start); took < 2*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
		<-first.Done
		<-second.Done
		if first.Error != nil || second.Error != nil {
			t.Errorf("%v, %v", first.Error, second.Error)
		}
		if _, err := listener.Dial(t.Context(), nil, nil); err == nil {
			t.Error("a client could connect")
		}
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		client, _ := dial(t, listener, rpc.Config{})
		defer client.Close()
		call := client.Go(context.Background(), "sleep", nil, 1_000_000)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if <-call.Done; !errors.Is(call.Error, net.ErrClosed) {
			t.Errorf("the call ended with %v", call.Error)
		}
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := rpc.NewServer(rpc.ServerConfig{})
		cancelled := make(chan error, 1)
		must(t, server.Handle("wait", func(ctx context.Context, _ *rpc.Request) (any, error) {
			<-ctx.Done()
			cancelled <- context.Cause(ctx)
			return nil, nil
		}))
		listener := rpctest.Listen("test")
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx, listener) }()
		client, _ := dial(t, listener, rpc.Config{})
		defer client.Close()
		call := client.Go(context.Background(), "wait", nil)
		synctest.Wait()
		cancel()
		must(t, <-served)
		if err := <-cancelled; !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
		// The handler's reply may have been faster than the end of its session.
		if <-call.Done; call.Error != nil && !errors.Is(call.Error, net.ErrClosed) {
			t.Errorf("the call ended with %v", call.Error)
		}
	})
}

// An owner that closes its listener only ends the accepting: the sessions continue, and ctx still ends them.
func TestServeEndsWithItsContextAfterItsListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := rpc.NewServer(rpc.ServerConfig{})
		must(t, rpctest.BindFunctions(server))
		listener := rpctest.Listen("test")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx, listener) }()
		client, _ := dial(t, listener, rpc.Config{})
		defer client.Close()
		must(t, client.Call(t.Context(), "nop", nil))
		must(t, listener.Close())
		synctest.Wait()
		must(t, client.Call(t.Context(), "nop", nil))
		cancel()
		synctest.Wait()
		select {
		case err := <-served:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve returned %v, want why it could not accept", err)
			}
		default:
			t.Error("Serve still runs though its context has ended")
			server.Close()
			<-served
		}
		if !errors.Is(client.Err(), net.ErrClosed) {
			t.Errorf("the session continues after Serve: %v", client.Err())
		}
	})
}

func TestAClientThatGoesAwayCancelsItsHandlers(t *testing.T) {
	for _, way := range []string{"close", "cut"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cancelled sync.WaitGroup
				ended := make(chan error, 1)
				config := rpc.ServerConfig{OnSessionEnd: func(_ *rpc.Session, err error) { ended <- err }}
				_, listener, stop := inMemory(t, config, func(s *rpc.Server) {
					must(t, s.Bind("wait", func(ctx context.Context) error {
						defer cancelled.Done()
						<-ctx.Done()
						return context.Cause(ctx)
					}))
				})
				defer stop()
				client, conn := dial(t, listener, rpc.Config{})
				cancelled.Add(1)
				call := client.Go(context.Background(), "wait", nil)
				synctest.Wait()
				if way == "close" {
					client.Close()
				} else {
					conn.(*rpctest.Conn).Cut()
				}
				<-call.Done
				cancelled.Wait()
				if err := <-ended; (err == nil) != (way == "close") {
					t.Errorf("the session ended with %v", err)
				}
				client.Close()
			})
		})
	}
}

// TestHalfClosedClientGetsItsReply has a client close its direction after its calls and read the replies.
func TestHalfClosedClientGetsItsReply(t *testing.T) {
	_, addr := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true})
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("\x94\x00\x01\xa3any\x90\x94\x00\x02\xa2f3\x93\x01\xa1b\xc3"))
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	if want := "\x94\x01\x02\xc0\xa31bT"; err != nil || !strings.HasSuffix(string(answer), want) {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	client := connect(t, rpc.ServerConfig{}, func(s *rpc.Server) {
		must(t, s.Bind("index", func(list []int, i int) int { return list[i] }))
		must(t, s.Bind("quick_index", func(list []int, i int) int { return list[i] }, rpc.NonBlocking()))
		must(t, s.Bind("text", func() { panic("a text") }))
	}, rpc.Config{})
	exception := "rpclib: function '%s' (called with %d arg(s)) threw an exception. The exception contained this information: runtime error: index out of range [5] with length 1."
	for _, test := range []struct {
		function string
		args     []any
		want     string
	}{
		{"index", []any{[]int{1}, 5}, fmt.Sprintf(exception, "index", 2)},
		{"quick_index", []any{[]int{1}, 5}, fmt.Sprintf(exception, "quick_index", 2)},
		{"text", nil, "rpclib: function 'text' (called with 0 arg(s)) threw an exception. The exception is not derived from std::exception. No further information available."},
	} {
		err := client.Call(t.Context(), test.function, nil, test.args...)
		var remote *rpc.RemoteError
		if !errors.As(err, &remote) || remote.Value != test.want || remote.Method != test.function {
			t.Errorf("%s: %v\nwant %s", test.function, err, test.want)
		}
		must(t, client.Call(t.Context(), "nop", nil))
	}
}

// A panic is a fault of the program: without a logger it is written to standard error, as net/http does, and a peer
// that repeats the call does not fill the disk.
func TestPanicsAreWrittenWithoutALogger(t *testing.T) {
	read, write, err := os.Pipe()
	must(t, err)
	stderr := os.Stderr
	os.Stderr = write
	defer func() { os.Stderr = stderr }()
	_, listener, stop := inMemory(t, rpc.ServerConfig{}, func(s *rpc.Server) {
		must(t, s.Bind("faulty", func() { panic("a fault of the program") }))
	})
	written := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(read)
		written <- string(text)
	}()
	client, _ := dial(t, listener, rpc.Config{})
	for range 100 {
		if err := client.Call(t.Context(), "faulty", nil); err == nil {
			t.Error("a panic was answered with a result")
		}
	}
	must(t, client.Close())
	stop()
	must(t, write.Close())
	text := <-written
	for _, part := range []string{"a fault of the program", "faulty", "server_test.go"} {
		if !strings.Contains(text, part) {
			t.Errorf("standard error lacks %q:\n%s", part, text)
		}
	}
	if n := strings.Count(text, "handler panicked"); n < 1 || n > 30 {
		t.Errorf("%d lines of 100 panics, want about 10", n)
	}
}

func TestRemoteErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{})
		err := client.Call(t.Context(), "nosuch", nil, 1)
		if !errors.Is(err, rpc.ErrMethodNotFound) || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want ErrMethodNotFound", err)
		}
		if !strings.Contains(err.Error(), "nosuch") {
			t.Errorf("%q does not name the function", err)
		}
		if err := client.Call(t.Context(), "h_error_str", nil); errors.Is(err, rpc.ErrMethodNotFound) || !strings.Contains(err.Error(), "an error") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := client.Call(ctx, "h_disable", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that is never answered: %v", err)
		}
	})
}

func TestBindRefusesWhatItCannotServe(t *testing.T) {
	server := rpc.NewServer(rpc.ServerConfig{})
	for _, test := range []struct {
		name string
		fn   any
	}{
		{"nil", nil},
		{"no function", 5},
		{"nil function", (func())(nil)},
		{"two results", func() (int, int) { return 1, 2 }},
		//lint:ignore ST1008 the order is the point
		{"error first", func() (error, int) { return nil, 1 }},
	} {
		if err := server.Bind(test.name, test.fn); err == nil || !strings.Contains(err.Error(), test.name) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	must(t, server.Bind("once", func() {}))
	if err := server.Bind("once", func() {}); err == nil || err.Error() != "Function name already bound: 'once'. Please use unique function names" {
		t.Errorf("twice: %v", err)
	}
	server.Unbind("once")
	server.Unbind("once")
	must(t, server.Handle("once", func(context.Context, *rpc.Request) (any, error) { return nil, nil }))
	if n := server.FunctionCount(); n != 1 {
		t.Errorf("%d functions", n)
	}
}

func TestSessionHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, ended []*rpc.Session
		config := rpc.ServerConfig{
			OnSession:    func(s *rpc.Session) { begun = append(begun, s) },
			OnSessionEnd: func(s *rpc.Session, err error) { ended = append(ended, s); must(t, err) },
		}
		var inside *rpc.Session
		_, listener, stop := inMemory(t, config, func(s *rpc.Server) {
			must(t, s.Bind("who", func(ctx context.Context) error { inside = rpc.SessionFrom(ctx); return nil }))
		})
		defer stop()
		client, _ := dial(t, listener, rpc.Config{})
		must(t, client.Call(t.Context(), "who", nil))
		must(t, client.Close())
		synctest.Wait()
		if len(begun) != 1 || len(ended) != 1 || begun[0] != inside || ended[0] != inside {
			t.Fatalf("begun %v, ended %v, inside %v", begun, ended, inside)
		}
		if inside.RemoteAddr().String() != "client" || inside.PeerCertificates() != nil {
			t.Errorf("%v with %v", inside.RemoteAddr(), inside.PeerCertificates())
		}
		if rpc.SessionFrom(context.Background()) != nil {
			t.Error("a session out of nowhere")
		}
	})
}
