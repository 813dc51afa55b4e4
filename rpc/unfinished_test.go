package rpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// unfinishedText is the head of a call of echo_obj with a text of 2 MB. The text itself does not follow.
const unfinishedText = "\x94\x00\x01\xa8echo_obj\x91\xdb\x00\x1e\x84\x80"

// TestUnfinishedMessagesShareABudget sends 20 messages of 2 MB on connections of their own and finishes none. The
// server must keep to its budget, and serve other clients.
func TestUnfinishedMessagesShareABudget(t *testing.T) {
	const budget, connections = 4 << 20, 20
	given := make(chan error, connections)
	config := rpc.ServerConfig{
		Limits:       rpc.Limits{UnfinishedBytes: budget},
		OnSessionEnd: func(_ *rpc.Session, err error) { given <- err },
	}
	_, listener, stop := inMemory(t, config, nil)
	defer stop()
	client, _ := dial(t, listener, rpc.Config{})
	defer client.Close()
	must(t, client.Call(t.Context(), "nop", nil))
	held := func() int64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return int64(memory.HeapAlloc)
	}
	before, ended := held(), 0
	piece := strings.Repeat("x", 1_990_000)
	for range connections {
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		defer conn.Close()
		if _, err := io.WriteString(conn, unfinishedText+piece); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
			t.Fatal(err)
		}
	}
	// At most two messages of 2 MB fit.
	for ended < connections-2 {
		select {
		case err := <-given:
			ended++
			if err == nil || !strings.Contains(err.Error(), "unfinished messages") {
				t.Fatalf("a session ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d sessions were closed, want %d", ended, connections-2)
		}
	}
	if used := held() - before; used > budget+budget/2 {
		t.Errorf("%d MiB are held for a budget of %d MiB", used>>20, budget>>20)
	}
	var text string
	must(t, client.Call(t.Context(), "echo_obj", &text, piece))
	if text != piece {
		t.Error("a long message came back changed")
	}
}

// TestLimitedSessionsGiveWayFirst wants the budget to take from a session whose frame size was lowered before it takes
// from one whose message is older.
func TestLimitedSessionsGiveWayFirst(t *testing.T) {
	const size = 900_000
	sessions, ended := make(chan *rpc.Session, 3), make(chan *rpc.Session, 3)
	config := rpc.ServerConfig{
		Limits: rpc.Limits{UnfinishedBytes: 2_500_000, FrameSize: 2 << 20},
		OnSession: func(s *rpc.Session) {
			s.SetFrameSize(1_000_000)
			sessions <- s
		},
		OnSessionEnd: func(s *rpc.Session, _ error) { ended <- s },
	}
	_, listener, stop := inMemory(t, config, nil)
	defer stop()
	piece := strings.Repeat("x", size)
	open := func() (net.Conn, *rpc.Session) {
		conn, err := listener.Dial(t.Context(), nil, nil)
		must(t, err)
		return conn, <-sessions
	}
	begin := func(conn net.Conn) {
		_, err := io.WriteString(conn, "\x94\x00\x01\xa8echo_obj\x91\xdb\x00\x0d\xf0\x00"+piece)
		must(t, err)
	}
	trusted, first := open()
	defer trusted.Close()
	first.SetFrameSize(0)
	begin(trusted)
	stranger, second := open()
	defer stranger.Close()
	begin(stranger)
	newest, third := open()
	defer newest.Close()
	begin(newest)
	if got := <-ended; got != second {
		t.Errorf("the first session to give way is the trusted one: %v, the newer stranger: %v; want the older stranger", got == first, got == third)
	}
}

// TestFrameSizeOfASession raises and lowers the longest message of one session while it runs.
func TestFrameSizeOfASession(t *testing.T) {
	config := rpc.ServerConfig{OnSession: func(s *rpc.Session) { s.SetFrameSize(1 << 20) }}
	bind := func(server *rpc.Server) {
		must(t, server.Handle("trust", func(ctx context.Context, _ *rpc.Request) (any, error) {
			rpc.SessionFrom(ctx).SetFrameSize(0)
			return nil, nil
		}))
	}
	long := strings.Repeat("x", 2<<20)
	if err := connect(t, config, bind, rpc.Config{}).Call(t.Context(), "echo_obj", nil, long); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a long message of a limited session: %v", err)
	}
	client := connect(t, config, bind, rpc.Config{})
	must(t, client.Call(t.Context(), "trust", nil))
	must(t, client.Call(t.Context(), "echo_obj", nil, long))
}
