package rpc_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// The rows of doc/performance.md, both ends in one process over TCP on loopback. Comparisons with other libraries, in
// processes of their own, are made by internal/peerbench.

func BenchmarkSequential32(b *testing.B) {
	b.Run("any handler", func(b *testing.B) { benchmark(b, 1, 1, 32, "echo_any") })
	b.Run("non-blocking", func(b *testing.B) { benchmark(b, 1, 1, 32, "echo_quick") })
}

func BenchmarkPipelined100(b *testing.B) {
	b.Run("any handler", func(b *testing.B) { benchmark(b, 1, 64, 100, "echo_any") })
	b.Run("non-blocking", func(b *testing.B) { benchmark(b, 1, 64, 100, "echo_quick") })
}

func BenchmarkFourConnections100(b *testing.B) { benchmark(b, 4, 64, 100, "echo_quick") }

func BenchmarkPipelined10KiB(b *testing.B) { benchmark(b, 1, 64, 10<<10, "echo_quick") }

func BenchmarkSequential1MiB(b *testing.B) { benchmark(b, 1, 1, 1<<20, "echo_quick") }

func BenchmarkPipelined1MiB(b *testing.B) { benchmark(b, 1, 64, 1<<20, "echo_quick") }

// benchmark makes callers on each of several connections echo a text of some size.
func benchmark(b *testing.B, connections, callers, size int, function string) {
	addr := serve(b, echoServer(b))
	text := strings.Repeat("x", size)
	var clients []*rpc.Client
	for range connections {
		client, err := rpc.Dial(b.Context(), addr, rpc.Config{InsecurePlaintext: true})
		must(b, err)
		defer client.Close()
		clients = append(clients, client)
	}
	b.SetBytes(int64(2 * size))
	b.ReportAllocs()
	if connections*callers == 1 {
		var reply string
		for b.Loop() {
			must(b, clients[0].Call(context.Background(), function, &reply, text))
		}
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	b.ResetTimer()
	for _, client := range clients {
		for range callers {
			running.Go(func() {
				var reply string
				for left.Add(-1) >= 0 {
					if err := client.Call(context.Background(), function, &reply, text); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
	}
	running.Wait()
}

func echoServer(t testing.TB) *rpc.Server {
	t.Helper()
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true})
	echo := func(text string) string { return text }
	must(t, server.Bind("echo_any", echo))
	must(t, server.Bind("echo_quick", echo, rpc.NonBlocking()))
	return server
}

// TestEchoAllocates counts the allocations of both sides: the text twice, as argument and as result, the caller's slice
// of arguments and the text in it.
func TestEchoAllocates(t *testing.T) {
	const maxAllocations = 4
	addr := serve(t, echoServer(t))
	client, err := rpc.Dial(t.Context(), addr, rpc.Config{InsecurePlaintext: true})
	must(t, err)
	defer client.Close()
	for _, function := range []string{"echo_quick", "echo_any"} {
		text, reply := strings.Repeat("x", 100), ""
		call := func() { must(t, client.Call(context.Background(), function, &reply, text)) }
		if n := testing.AllocsPerRun(2000, call); n > maxAllocations {
			t.Errorf("%s: %v allocations, want %d at most", function, n, maxAllocations)
		} else {
			t.Logf("%s: %v allocations", function, n)
		}
	}
}
