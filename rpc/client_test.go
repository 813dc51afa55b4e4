package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

func TestCallTimesOutAndItsLateReplyIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{CallTimeout: 100 * time.Millisecond})
		start := time.Now()
		err := client.Call(context.Background(), "sleep", nil, 300)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("timed out after %v", took)
		}
		if !errors.Is(err, rpc.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want ErrTimeout", err)
		}
		if !strings.Contains(err.Error(), "sleep") || !strings.Contains(err.Error(), "100ms") {
			t.Errorf("%q does not name the function and the time", err)
		}
		time.Sleep(time.Second)
		var text string
		if err := client.Call(context.Background(), "f0", &text); err != nil || text != "f0" {
			t.Errorf("after the late reply: %q, %v", text, err)
		}
	})
}

func TestCallTimeoutOfACallerThatReadsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{CallTimeout: 100 * time.Millisecond})
		for range 100 {
			must(t, client.Call(context.Background(), "nop", nil))
		}
		start := time.Now()
		if err := client.Call(context.Background(), "sleep", nil, 300); !errors.Is(err, rpc.ErrTimeout) {
			t.Errorf("got %v, want ErrTimeout", err)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("timed out after %v", took)
		}
		time.Sleep(time.Second)
		for range 100 {
			must(t, client.Call(context.Background(), "nop", nil))
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := client.Call(ctx, "sleep", nil, 300); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		time.Sleep(time.Second)
		must(t, client.Call(context.Background(), "nop", nil))
	})
}

func TestContextEndsACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{})
		cause := errors.New("the operator changed his mind")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		call := client.Go(ctx, "sleep", nil, 5000)
		err := client.Call(ctx, "sleep", nil, 5000)
		if !errors.Is(err, cause) {
			t.Errorf("Call: %v, want the cause", err)
		}
		if <-call.Done; !errors.Is(call.Error, cause) {
			t.Errorf("Go: %v, want the cause", call.Error)
		}
		if err := client.Call(ctx, "nop", nil); !errors.Is(err, cause) {
			t.Errorf("a call with an ended context: %v", err)
		}
		if err := client.Err(); err != nil {
			t.Errorf("the connection: %v", err)
		}
	})
}

func TestRepliesOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{Order: rpc.OrderNone}, nil, rpc.Config{})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for _, milliseconds := range []int{300, 10, 200, 0} {
			wg.Go(func() {
				var answer int
				if err := client.Call(context.Background(), "sleep", &answer, milliseconds); err != nil || answer != milliseconds {
					t.Errorf("sleep %d: %d, %v", milliseconds, answer, err)
				}
				mu.Lock()
				order = append(order, answer)
				mu.Unlock()
			})
		}
		wg.Wait()
		if got := fmt.Sprint(order); got != "[0 10 200 300]" {
			t.Errorf("ended in the order %s", got)
		}
	})
}

func TestManyGoroutinesOnOneClient(t *testing.T) {
	_, addr := startTestServer(t, rpc.ServerConfig{InsecurePlaintext: true})
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{InsecurePlaintext: true})
	must(t, err)
	defer client.Close()
	var wg sync.WaitGroup
	for caller := range 64 {
		wg.Go(func() {
			for i := range 100 {
				want := strings.Repeat(fmt.Sprint(caller, " ", i, ";"), 1+i*i)
				ctx, cancel := context.WithCancel(t.Context())
				var got string
				if err := client.Call(ctx, "echo", &got, want); err != nil || got != want {
					t.Errorf("caller %d, call %d: %.20q, %v", caller, i, got, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

func TestCloseFailsCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		client, _ := dial(t, listener, rpc.Config{})
		call := client.Go(context.Background(), "sleep", nil, 60_000)
		time.AfterFunc(time.Second, func() { client.Close() })
		if <-call.Done; !errors.Is(call.Error, rpc.ErrClosed) || !errors.Is(call.Error, net.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", call.Error)
		}
		must(t, client.Close())
		for _, err := range []error{client.Call(t.Context(), "nop", nil), client.Notify(t.Context(), "nop"), client.Err()} {
			if !errors.Is(err, rpc.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}

// TestIdleClientNoticesTheEnd wants a client without calls to notice that its server has closed the connection.
func TestIdleClientNoticesTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		client, _ := dial(t, listener, rpc.Config{})
		defer client.Close()
		for range 100 {
			must(t, client.Call(t.Context(), "nop", nil))
		}
		if err := client.Err(); err != nil {
			t.Errorf("while connected: %v", err)
		}
		if local, remote := client.LocalAddr().String(), client.RemoteAddr().String(); local != "client" || remote != "test" {
			t.Errorf("addresses %s, %s", local, remote)
		}
		go server.CloseSessions()
		<-client.Done()
		if err := client.Err(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestACutFailsEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		client, conn := dial(t, listener, rpc.Config{})
		defer client.Close()
		var calls []*rpc.Call
		for range 10 {
			calls = append(calls, client.Go(context.Background(), "sleep", nil, 60_000))
		}
		time.AfterFunc(time.Second, conn.(*rpctest.Conn).Cut)
		for _, call := range calls {
			if <-call.Done; !errors.Is(call.Error, net.ErrClosed) {
				t.Errorf("got %v", call.Error)
			}
		}
	})
}

// TestCallToAPeerThatDoesNotRead wants a call to end in time although the network takes nothing.
func TestCallToAPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := rpctest.Pipe(nil, nil)
		defer far.Close()
		client := rpc.NewClient(near, rpc.Config{CallTimeout: time.Second, WriteTimeout: 5 * time.Second})
		defer client.Close()
		big := make([]byte, 1<<20)
		start := time.Now()
		for range 3 {
			if err := client.Call(context.Background(), "echo", nil, string(big)); !errors.Is(err, rpc.ErrTimeout) {
				t.Errorf("got %v, want ErrTimeout", err)
			}
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("three calls took %v", took)
		}
		// The peer took nothing for WriteTimeout: the connection is closed.
		<-client.Done()
		if took := time.Since(start); took != 5*time.Second || !errors.Is(client.Err(), net.ErrClosed) {
			t.Errorf("after %v: %v", took, client.Err())
		}
	})
}

func TestTooMuchIsRefusedBeforeItIsSent(t *testing.T) {
	client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{Limits: rpc.Limits{FrameSize: 1000, Depth: 3}})
	deep := []any{[]any{[]any{[]any{}}}}
	for _, test := range []struct {
		name string
		arg  any
		want error
	}{
		{"long text", strings.Repeat("x", 1000), rpc.ErrFrameTooLarge},
		{"very long text", strings.Repeat("x", 100_000), rpc.ErrFrameTooLarge},
		{"deep", deep, rpc.ErrTooDeep},
		{"deep raw", rpc.Raw("\x91\x91\x91\x90"), rpc.ErrTooDeep},
		{"raw that is none", rpc.Raw("\x91"), rpc.ErrProtocol},
		{"raw that is two", rpc.Raw("\xc0\xc0"), rpc.ErrProtocol},
		{"channel", make(chan int), rpc.ErrType},
	} {
		if err := client.Call(t.Context(), "echo_obj", nil, test.arg); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	var value any
	if err := client.Call(t.Context(), "echo_obj", &value, deep[0]); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestInFlightLimitMakesCallsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{Order: rpc.OrderNone}, nil, rpc.Config{Limits: rpc.Limits{InFlight: 2}})
		start := time.Now()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { must(t, client.Call(t.Context(), "sleep", nil, 100)) })
		}
		wg.Wait()
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("six calls of 100 ms, two at a time, took %v", took)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rpc")
	listener, err := net.Listen("unix", path)
	must(t, err)
	server := rpc.NewServer(rpc.ServerConfig{})
	must(t, rpctest.BindFunctions(server))
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), listener) }()
	client, err := rpc.Dial(t.Context(), "unix:"+path, rpc.Config{})
	must(t, err)
	var sum int
	if err := client.Call(t.Context(), "add", &sum, 2, 40); err != nil || sum != 42 {
		t.Errorf("%d, %v", sum, err)
	}
	big := strings.Repeat("x", 3<<20)
	var back string
	if err := client.Call(t.Context(), "echo", &back, big); err != nil || back != big {
		t.Errorf("%d bytes, %v", len(back), err)
	}
	must(t, client.Close())
	must(t, server.Close())
	must(t, <-served)
}

func TestDialErrorsNameTheAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := listener.Addr().String()
	must(t, listener.Close())
	for _, test := range []struct {
		name, addr string
		config     rpc.Config
		want       error
	}{
		{"nobody listens", addr, rpc.Config{InsecurePlaintext: true}, nil},
		{"plain TCP not asked for", addr, rpc.Config{}, rpc.ErrPlaintext},
		{"no such socket", "unix:/nonexistent/socket", rpc.Config{}, nil},
		{"no port", "127.0.0.1", rpc.Config{InsecurePlaintext: true}, nil},
	} {
		_, err := rpc.Dial(t.Context(), test.addr, test.config)
		if err == nil || !strings.Contains(err.Error(), test.addr) || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestDeepRawValues decodes what a peer may send within a text or binary, where no limit of a connection holds.
func TestDeepRawValues(t *testing.T) {
	for _, depth := range []int{1001, 30_000_000} {
		deep := rpc.Raw(strings.Repeat("\x91", depth) + "\xc0")
		if err := deep.Decode(new(any)); !errors.Is(err, rpc.ErrTooDeep) {
			t.Errorf("decoding %d levels: %v, want ErrTooDeep", depth, err)
		}
	}
	var loop any
	loop = &loop
	if _, err := rpc.Encode(loop); !errors.Is(err, rpc.ErrTooDeep) {
		t.Errorf("encoding a pointer to itself: %v, want ErrTooDeep", err)
	}
	if err := rpc.Raw(strings.Repeat("\x91", 1000)).Decode(new(any)); !errors.Is(err, rpc.ErrProtocol) {
		t.Errorf("decoding 1000 levels that are not complete: %v, want ErrProtocol", err)
	}
	var value any
	if err := rpc.Raw(strings.Repeat("\x91", 999) + "\xc0").Decode(&value); err != nil {
		t.Errorf("decoding 999 levels: %v", err)
	}
}

// A large result keeps the memory of its message, whatever it is received into. What comes after it does not change it.
func TestLargeResults(t *testing.T) {
	t.Parallel()
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	must(t, server.Bind("text", func(size int, fill string) string { return strings.Repeat(fill, size) }))
	client, err := rpc.Dial(t.Context(), serve(t, server), rpc.Config{InsecurePlaintext: true})
	must(t, err)
	t.Cleanup(func() { client.Close() })
	const size = 300_000
	var raw rpc.Raw
	var bytes []byte
	var text string
	for fill, reply := range map[string]any{"a": &raw, "b": &bytes, "c": &text} {
		if err := client.Call(t.Context(), "text", reply, size, fill); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := client.Call(t.Context(), "text", nil, size, "x"); err != nil {
			t.Fatal(err)
		}
	}
	var decoded string
	if err := raw.Decode(&decoded); err != nil || decoded != strings.Repeat("a", size) {
		t.Errorf("the Raw has %d bytes, %v", len(raw), err)
	}
	if string(bytes) != strings.Repeat("b", size) || text != strings.Repeat("c", size) {
		t.Error("the bytes or the text have changed")
	}
}
