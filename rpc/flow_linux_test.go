package rpc_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// TestFlow tells bytes that move from those that a path swallows, and a long packet from a short one.
func TestFlow(t *testing.T) { inOwnNetwork(t, seeFlow) }

func seeFlow(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	defer listener.Close()
	for _, long := range []bool{false, true} {
		client, err := rpc.Dial(t.Context(), listener.Addr().String(), rpc.Config{InsecurePlaintext: true, SegmentSize: 1200})
		if err != nil {
			t.Error(err)
			return
		}
		peer, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		client.Go(t.Context(), "first", nil)
		if _, err := peer.Write([]byte{0x94, 1}); err != nil { // the beginning of a response
			t.Error(err)
		}
		waitFor(t, func() bool {
			flow := client.Flow()
			return flow.Received == 2 && flow.Acknowledged > 0 && !flow.Waiting && !flow.Stuck
		})
		before := client.Flow().Acknowledged
		setUp(t, false)
		text := ""
		if long {
			text = strings.Repeat("x", 3000)
		}
		client.Go(t.Context(), "second", nil, text)
		waitFor(t, func() bool { flow := client.Flow(); return flow.Waiting && flow.Stuck })
		if flow := client.Flow(); flow.Swallowed != long || flow.Acknowledged != before {
			t.Errorf("long %v: %+v, and %d acknowledged before", long, flow, before)
		}
		client.AllowFragments()
		setUp(t, true)
		waitFor(t, func() bool { flow := client.Flow(); return flow.Acknowledged > before && !flow.Waiting && !flow.Stuck })
		client.Close()
		peer.Close()
	}
	if flow := rpc.NewClient(func() net.Conn { near, _ := net.Pipe(); return near }(), rpc.Config{}); flow.Flow() != (rpc.Flow{}) {
		t.Errorf("a pipe: %+v", flow.Flow())
	} else {
		flow.Close()
	}
}

// TestSegments wants a limit of either end to hold for both directions.
func TestSegments(t *testing.T) {
	for _, test := range []struct{ client, server, want int }{{1200, 0, 1200}, {0, 1100, 1100}, {1200, 536, 536}, {0, 0, 0}} {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		if test.server > 0 {
			must(t, rpc.LimitSegments(listener, test.server))
		}
		var serving sync.WaitGroup
		sizes := make(chan int, 2)
		serving.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			sizes <- segmentOf(t, conn)
			conn.Close()
		})
		client, err := rpc.Dial(context.Background(), listener.Addr().String(), rpc.Config{InsecurePlaintext: true, SegmentSize: test.client})
		must(t, err)
		// 12 bytes of a segment are taken by TCP's timestamps.
		if got := <-sizes; test.want > 0 && (got > test.want || got < test.want-12) || test.want == 0 && got < 1400 {
			t.Errorf("client %d, server %d: segments of %d bytes, want %d", test.client, test.server, got, test.want)
		}
		client.Close()
		serving.Wait()
		listener.Close()
	}
	local, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	must(t, err)
	defer local.Close()
	for _, other := range []net.Listener{nil, local} {
		if err := rpc.LimitSegments(other, 1200); err != nil {
			t.Errorf("a listener other than TCP: %v", err)
		}
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer tcp.Close()
	if err := rpc.LimitSegments(struct{ net.Listener }{tcp}, 1200); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a listener that hides its socket: %v", err)
	}
}

// segmentOf returns how long the segments are that a connection sends.
func segmentOf(t *testing.T, conn net.Conn) (size int) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	if err := raw.Control(func(fd uintptr) {
		if size, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Error(err)
	}
	return size
}
