package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// TestStartEndsOnce wants the function to be called once, whatever ends the call.
func TestStartEndsOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		timeout time.Duration
		end     func(client *rpc.Client, cancel context.CancelFunc)
		want    error
	}{
		{name: "reply"},
		{name: "context", end: func(_ *rpc.Client, cancel context.CancelFunc) { cancel() }, want: context.Canceled},
		{name: "time-out", timeout: 50 * time.Millisecond, want: rpc.ErrTimeout},
		{name: "close", end: func(client *rpc.Client, _ context.CancelFunc) { client.Close() }, want: net.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{CallTimeout: test.timeout})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var ends []error
				must(t, client.Start(ctx, "sleep", nil, func(err error) { ends = append(ends, err) }, 100))
				synctest.Wait()
				if test.end != nil {
					test.end(client, cancel)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if len(ends) != 1 || !errors.Is(ends[0], test.want) {
					t.Errorf("ended with %v, want %v once", ends, test.want)
				}
			})
		})
	}
}

// TestStartDoesNotWait fills the limit of calls in flight.
func TestStartDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := connect(t, rpc.ServerConfig{}, nil, rpc.Config{Limits: rpc.Limits{InFlight: 2}})
		ended := 0
		start := func() error {
			return client.Start(t.Context(), "sleep", nil, func(error) { ended++ }, 100)
		}
		must(t, start())
		must(t, start())
		if err := start(); !errors.Is(err, rpc.ErrBusy) {
			t.Errorf("the third call: %v, want ErrBusy", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		must(t, start())
		time.Sleep(time.Second)
		synctest.Wait()
		if ended != 3 {
			t.Errorf("%d calls ended, want 3", ended)
		}
	})
}

// TestStartFromItsOwnFunction keeps many calls of all sizes under way, each begun when another has ended, while callers
// that wait use the connection too.
func TestStartFromItsOwnFunction(t *testing.T) {
	addr := serve(t, echoServer(t))
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{InsecurePlaintext: true})
	must(t, err)
	defer client.Close()
	const lanes, each = 50, 200
	var left atomic.Int64
	left.Store(lanes)
	done := make(chan struct{})
	for lane := range lanes {
		text := strings.Repeat(string(rune('a'+lane%26)), lane*lane*lane/3)
		function := []string{"echo_any", "echo_quick"}[lane%2]
		var reply string
		count := 0
		var next func(error)
		next = func(err error) {
			if count++; err != nil || reply != text {
				t.Errorf("lane %d, call %d: %d bytes, %v; want %d", lane, count, len(reply), err, len(text))
			} else if count < each {
				if err = client.Start(context.Background(), function, &reply, next, text); err == nil {
					return
				}
				t.Errorf("lane %d, call %d: %v", lane, count, err)
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		}
		must(t, client.Start(context.Background(), function, &reply, next, text))
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range each {
				var reply string
				if err := client.Call(context.Background(), "echo_any", &reply, "call"); err != nil || reply != "call" {
					t.Errorf("%q, %v", reply, err)
					return
				}
			}
		})
	}
	callers.Wait()
	<-done
}

// TestStartOnABrokenConnection wants every call to end when the connection does.
func TestStartOnABrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
		defer stop()
		conn, err := listener.Dial(t.Context(), rpctest.CutAfter(3000), rpctest.CutAfter(3000))
		must(t, err)
		client := rpc.NewClient(conn, rpc.Config{})
		defer client.Close()
		begun, ended := 0, 0
		var mu sync.Mutex
		var start func()
		start = func() {
			mu.Lock()
			defer mu.Unlock()
			err := client.Start(context.Background(), "echo", nil, func(err error) {
				mu.Lock()
				ended++
				mu.Unlock()
				if err == nil {
					start()
				} else if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}, "some text")
			if err == nil {
				begun++
			} else if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		for range 10 {
			start()
		}
		<-client.Done()
		synctest.Wait()
		if begun == 0 || begun != ended {
			t.Errorf("%d calls begun, %d ended", begun, ended)
		}
	})
}

// TestRawRepliesStayWhole sends many calls at once to handlers that return parts of what was read, on the reader's
// goroutine and on others. The sizes are around bigMessage, from which on messages are not copied. The client reads the
// replies only when the server has read further calls.
func TestRawRepliesStayWhole(t *testing.T) {
	for _, function := range []string{"any", "quick"} {
		t.Run(function, func(t *testing.T) {
			_, listener, stop := inMemory(t, rpc.ServerConfig{}, func(s *rpc.Server) {
				echo := func(_ context.Context, request *rpc.Request) (any, error) { return request.Args, nil }
				must(t, s.Handle("any", echo))
				must(t, s.Handle("quick", echo, rpc.NonBlocking()))
			})
			defer stop()
			conn, err := listener.Dial(t.Context(), nil, nil)
			must(t, err)
			defer conn.Close()
			var calls []byte
			var want [][]byte
			for i := range 100 {
				text := strings.Repeat(fmt.Sprintf("%d ", i), 6000+200*i)
				call, err := rpc.Encode([]any{0, i, function, []any{text}})
				must(t, err)
				calls = append(calls, call...)
				reply, err := rpc.Encode([]any{1, i, nil, []any{text}})
				must(t, err)
				want = append(want, reply)
			}
			go func() {
				// A failure shows in the replies.
				_, _ = conn.Write(calls)
			}()
			for i, reply := range want {
				got := make([]byte, len(reply))
				if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, reply) {
					t.Fatalf("reply %d of %d bytes is not that to its call, %v", i, len(reply), err)
				}
			}
		})
	}
}
