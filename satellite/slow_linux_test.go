package satellite_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// slowCable carries so many bytes a second in each direction, in a buffer of a few kilobytes: what waits for it is not
// acknowledged.
type slowCable struct {
	listener net.Listener
	dialer   net.Dialer
	running  sync.WaitGroup
}

const slowRate = 64 << 10

func newSlowCable(t *testing.T, to string) *slowCable {
	t.Helper()
	small := func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10) })
		return errors.Join(err, failed)
	}
	config := net.ListenConfig{Control: small}
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowCable{listener: listener, dialer: net.Dialer{Control: small}}
	ctx, cancel := context.WithCancel(context.Background())
	s.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := s.dialer.DialContext(ctx, "tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { near.Close(); far.Close() })
			s.running.Go(func() { defer stop(); carry(near, far) })
			s.running.Go(func() { carry(far, near) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		cancel()
		s.running.Wait()
	})
	return s
}

// carry carries bytes until one end is closed, and closes the other one then. What a busy machine costs it, up to a second,
// it makes up for: else the time for a message would be the machine's, and beyond the 20 s after which TCP gives up.
func carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	chunk := make([]byte, 1<<10)
	next := time.Now()
	for {
		count, err := from.Read(chunk)
		if _, failed := to.Write(chunk[:count]); err != nil || failed != nil {
			return
		}
		if earliest := time.Now().Add(-time.Second); next.Before(earliest) {
			next = earliest
		}
		next = next.Add(time.Duration(count) * time.Second / slowRate)
		time.Sleep(time.Until(next))
	}
}

// A long message takes longer than the heartbeat's timeout on a slow path. As long as its bytes move the connection is
// kept, in both directions: a new one would only begin from the start, over and over.
func TestASlowPathCarriesALongMessage(t *testing.T) {
	t.Parallel()
	port := everesttest.FreePort(t)
	cable := newSlowCable(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
		port: port, controllerPort: cable.listener.Addr().(*net.TCPAddr).Port,
		// The longest limit of a whole test is that of receive.
		main: map[string]any{"link_timeout_ms": 3000, "resume_window_s": 30, "on_loss": "isolate"},
	})
	text := strings.Repeat("x", 6*slowRate) // for 6 s, twice the time-out that a busy machine does not exceed
	if err := s.satellite.port.module.Provides("evse_manager").Publish(t.Context(), "evse_id", text); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, s.arrivals, "a long event"); got.Variable != "evse_id" || got.Value != fmt.Sprintf("%q", text) {
		t.Errorf("%s %.40s arrived", got.Variable, got.Value)
	}
	if err := s.main.required("system").Call(t.Context(), "upload_logs", map[string]any{"upload_logs_request": map[string]any{"location": text}}, nil); err != nil {
		t.Error(err)
	}
	if call := receive(t, s.satellite.system.calls, "a long command"); !strings.Contains(string(call.Arguments["upload_logs_request"]), text) {
		t.Errorf("command %s came with other arguments", call.Command)
	}
	if status := s.main.controller.Status(); status.Isolations > 0 {
		t.Errorf("the port was out of service: %+v", status)
	} else {
		t.Logf("%d resumes", status.Resumes)
	}
	if more := len(s.arrivals) + len(s.satellite.system.calls); more > 0 {
		t.Errorf("%d events and commands besides", more)
	}
}
