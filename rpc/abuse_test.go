package rpc_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// request wraps an encoded argument into a call of echo_obj.
func request(argument []byte) []byte {
	return append([]byte("\x94\x00\x01\xa8echo_obj\x91"), argument...)
}

// TestInputsThatHurtOthers sends what makes other decoders overflow their stack or allocate gigabytes. Each input ends
// its session as soon as the limits permit, costs 8 MiB at most, and harms no other connection.
func TestInputsThatHurtOthers(t *testing.T) {
	nested := func(head string, n int) []byte {
		unit, err := hex.DecodeString(head)
		must(t, err)
		return bytes.Repeat(unit, n)
	}
	for _, test := range []struct {
		name  string
		input []byte
		want  error
	}{
		{"1 000 000 arrays in one another", request(nested("91", 1_000_000)), rpc.ErrTooDeep},
		{"4 000 000 arrays in one another", request(nested("91", 4_000_000)), rpc.ErrTooDeep},
		{"arrays of 65 535 in one another", request(nested("dcffff", 2000)), rpc.ErrTooManyElements},
		{"maps of 65 535 in one another", request(nested("deffff01", 2000)), rpc.ErrTooManyElements},
		{"array of 4 billion", request(nested("ddffffffff", 1)), rpc.ErrFrameTooLarge},
		{"map of 4 billion", request(nested("dfffffffff", 1)), rpc.ErrFrameTooLarge},
		{"text of 4 GiB", request(nested("dbffffffff", 1)), rpc.ErrFrameTooLarge},
		{"binary of 4 GiB", request(nested("c6ffffffff", 1)), rpc.ErrFrameTooLarge},
		{"extension of 4 GiB", request(nested("c9ffffffff01", 1)), rpc.ErrFrameTooLarge},
		{"array of two million", request(nested("dd001e8480", 1)), rpc.ErrTooManyElements},
		{"text of the size limit", request(nested("db00800000", 1)), rpc.ErrFrameTooLarge},
		{"function name of 4 GiB", nested("940001dbffffffff", 1), rpc.ErrFrameTooLarge},
		{"reserved byte", []byte{0xc1}, rpc.ErrProtocol},
		{"TLS greeting", nested("1603010200010001fc0303", 1), rpc.ErrProtocol},
		{"id that is text", []byte("\x94\x00\xa11\xa3nop\x90"), rpc.ErrProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				config := rpc.ServerConfig{OnSessionEnd: func(s *rpc.Session, err error) {
					if err != nil {
						ended <- err
					}
				}}
				_, listener, stop := inMemory(t, config, nil)
				defer stop()
				client, _ := dial(t, listener, rpc.Config{})
				defer client.Close()
				must(t, client.Call(t.Context(), "nop", nil))
				conn, err := listener.Dial(t.Context(), nil, nil)
				must(t, err)
				defer conn.Close()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				go conn.Write(test.input)
				if err := <-ended; !errors.Is(err, test.want) {
					t.Errorf("the session ended with %v, want %v", err, test.want)
				}
				runtime.ReadMemStats(&after)
				if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
					t.Errorf("%d bytes of input made the server allocate %d", len(test.input), used)
				}
				if answer, err := io.ReadAll(conn); len(answer) > 0 || err != nil {
					t.Errorf("answered %x, %v", answer, err)
				}
				must(t, client.Call(t.Context(), "nop", nil))
			})
		})
	}
}

// TestHTTPAndSSHGreetingsAreIgnored, as by rpclib: their bytes are small integers.
func TestHTTPAndSSHGreetingsAreIgnored(t *testing.T) {
	_, listener, stop := inMemory(t, rpc.ServerConfig{}, nil)
	defer stop()
	for _, greeting := range []string{"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"} {
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		_, err = conn.Write([]byte(greeting))
		must(t, err)
		expectOpen(t, conn, true)
		must(t, conn.Close())
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, listener, stop := inMemory(t, rpc.ServerConfig{Connections: 2}, nil)
		defer stop()
		first, _ := dial(t, listener, rpc.Config{})
		defer first.Close()
		second, _ := dial(t, listener, rpc.Config{})
		defer second.Close()
		third, _ := dial(t, listener, rpc.Config{})
		defer third.Close()
		if err := third.Call(t.Context(), "nop", nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the third connection: %v", err)
		}
		must(t, first.Close())
		synctest.Wait()
		again, _ := dial(t, listener, rpc.Config{})
		defer again.Close()
		must(t, again.Call(t.Context(), "nop", nil))
		must(t, second.Call(t.Context(), "nop", nil))
	})
}

// TestRefusedConnectionsAreForgotten refuses one more connection than allowed 2000 times. None may cost memory after
// its end.
func TestRefusedConnectionsAreForgotten(t *testing.T) {
	const count = 2000
	var refused atomic.Int64
	config := rpc.ServerConfig{Connections: 1, OnReject: func(*rpc.Session, error) { refused.Add(1) }}
	_, listener, stop := inMemory(t, config, nil)
	defer stop()
	only, _ := dial(t, listener, rpc.Config{})
	defer only.Close()
	must(t, only.Call(t.Context(), "nop", nil))
	held := func() int64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return int64(memory.HeapAlloc)
	}
	before := held()
	for range count {
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Fatalf("read %d bytes", n)
		}
		must(t, conn.Close())
	}
	if each := (held() - before) / count; each > 100 || refused.Load() != count {
		t.Errorf("%d bytes are held for each of %d refused connections, %d reported", each, count, refused.Load())
	}
}

// TestCallsInFlightAreLimited wants a server to stop reading at its limit of calls in flight.
func TestCallsInFlightAreLimited(t *testing.T) {
	for _, order := range []rpc.Order{rpc.OrderPerConnection, rpc.OrderPerMethod, rpc.OrderNone} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			running, most, ended := 0, 0, 0
			config := rpc.ServerConfig{Order: order, Limits: rpc.Limits{InFlight: 5}}
			client := connect(t, config, func(s *rpc.Server) {
				must(t, s.Bind("count", func() {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					running--
					ended++
					mu.Unlock()
				}))
			}, rpc.Config{})
			var calls []*rpc.Call
			for range 50 {
				calls = append(calls, client.Go(t.Context(), "count", nil))
			}
			for _, call := range calls {
				<-call.Done
				must(t, call.Error)
			}
			want := 1
			if order == rpc.OrderNone {
				want = 5
			}
			if most != want || ended != 50 {
				t.Errorf("order %d: %d at once, want %d; %d ended", order, most, want, ended)
			}
		})
	}
}

// TestSlowReaderIsCutOff has a client send calls with big replies and read none. The server must hold no more than its
// limits permit, and end the session when nothing was taken for the write time-out.
func TestSlowReaderIsCutOff(t *testing.T) {
	for _, function := range []string{"any", "quick"} {
		t.Run(function, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 100_000
				made := 0
				ended := make(chan error, 1)
				config := rpc.ServerConfig{
					WriteTimeout: 5 * time.Second,
					OnSessionEnd: func(_ *rpc.Session, err error) { ended <- err },
				}
				big := func() string { made++; return strings.Repeat("x", size) }
				_, listener, stop := inMemory(t, config, func(s *rpc.Server) {
					must(t, s.Bind("any", big))
					must(t, s.Bind("quick", big, rpc.NonBlocking()))
				})
				defer stop()
				conn, err := listener.Dial(t.Context(), nil, nil)
				must(t, err)
				defer conn.Close()
				start := time.Now()
				go func() {
					call, _ := rpc.Encode([]any{0, 1, function, []any{}})
					for {
						if _, err := conn.Write(call); err != nil {
							return
						}
					}
				}()
				err = <-ended
				if took := time.Since(start); took != 5*time.Second || err == nil {
					t.Errorf("cut off after %v with %v", took, err)
				}
				if held := made * size; held > 2<<20 {
					t.Errorf("the server made %d bytes of replies that nobody took", held)
				}
			})
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		config := rpc.ServerConfig{
			IdleTimeout:  10 * time.Second,
			OnSessionEnd: func(_ *rpc.Session, err error) { ended <- err },
		}
		client := connect(t, config, nil, rpc.Config{})
		for range 5 {
			time.Sleep(8 * time.Second)
			must(t, client.Call(t.Context(), "nop", nil))
		}
		// A connection with a call under way is not idle.
		must(t, client.Call(t.Context(), "sleep", nil, 25_000))
		start := time.Now()
		if err := <-ended; !errors.Is(err, rpc.ErrIdle) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		<-client.Done()
	})
}

func TestMessagesThatStopHalfWayEndTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		config := rpc.ServerConfig{
			MessageTimeout: 10 * time.Second,
			OnSessionEnd:   func(_ *rpc.Session, err error) { ended <- err },
		}
		_, listener, stop := inMemory(t, config, nil)
		defer stop()
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		defer conn.Close()
		start := time.Now()
		_, err = conn.Write([]byte("\x94\x00"))
		must(t, err)
		if err := <-ended; !errors.Is(err, rpc.ErrStalled) || time.Since(start) != 10*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
	})
}

// TestBigRequestsAreHeldWithinLimits sends calls of 1 MiB faster than they are handled.
func TestBigRequestsAreHeldWithinLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting := make(chan struct{})
		client := connect(t, rpc.ServerConfig{}, func(s *rpc.Server) {
			must(t, s.Bind("hold", func(text string) int { <-waiting; return len(text) }))
		}, rpc.Config{Limits: rpc.Limits{QueuedBytes: 100 << 20}})
		text := strings.Repeat("x", 1<<20)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		var calls []*rpc.Call
		for range 32 {
			calls = append(calls, client.Go(context.Background(), "hold", new(int), text))
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		// The client holds the text once, the network a part of it, the server what its limits permit.
		if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 6<<20 {
			t.Errorf("32 calls of 1 MiB are held in %d bytes", held)
		}
		close(waiting)
		for _, call := range calls {
			<-call.Done
			must(t, call.Error)
			if n := *call.Reply.(*int); n != len(text) {
				t.Errorf("%d bytes arrived", n)
			}
		}
	})
}

// TestStrayAndRepeatedRepliesHarmNobody wants only the first reply to a call under way to count.
func TestStrayAndRepeatedRepliesHarmNobody(t *testing.T) {
	near, far := rpctest.Pipe(nil, nil)
	client := rpc.NewClient(near, rpc.Config{})
	defer client.Close()
	go func() {
		buffer := make([]byte, 100)
		for i := byte(1); i <= 3; i++ {
			far.Read(buffer)
			far.Write([]byte{0x94, 1, 99, 0xc0, 7, 0x94, 1, i, 0xc0, i, 0x94, 1, i, 0xc0, 8, 0x94, 1, i, 0xa1, 'e', 9})
		}
	}()
	for want := 1; want <= 3; want++ {
		var got int
		if err := client.Call(t.Context(), "x", &got); err != nil || got != want {
			t.Errorf("call %d: %d, %v", want, got, err)
		}
	}
}
