package forwarder

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// forwarded returns a forwarder to a peer that hands every connection over.
func forwarded(t *testing.T) (f *Forwarder, peer <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections := make(chan net.Conn, 4)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				close(connections)
				return
			}
			connections <- connection
		}
	}()
	if f, err = Listen(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, connections
}

func dial(t *testing.T, f *Forwarder) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.Port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return connection
}

func joined(t *testing.T, f *Forwarder, peer <-chan net.Conn) (near, far net.Conn) {
	t.Helper()
	near = dial(t, f)
	far = <-peer
	t.Cleanup(func() { far.Close() })
	if err := far.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	exchange(t, near, far, "there\n")
	exchange(t, far, near, "and back\n")
	return near, far
}

func exchange(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(to).ReadString('\n'); err != nil || got != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

// expectEnd reads an end: io.EOF for one in order, ECONNRESET for a reset.
func expectEnd(t *testing.T, connection net.Conn, want error) {
	t.Helper()
	if _, err := connection.Read(make([]byte, 1)); !errors.Is(err, want) {
		t.Errorf("read ended with %v, want %v", err, want)
	}
}

func TestOutageEndsConnections(t *testing.T) {
	for outage, want := range map[Outage]error{OutageClosed: io.EOF, OutageReset: syscall.ECONNRESET} {
		t.Run(outage.String(), func(t *testing.T) {
			f, peer := forwarded(t)
			near, far := joined(t, f, peer)
			if !f.Begin(outage) {
				t.Error("no connection was there to be cut")
			}
			expectEnd(t, near, want)
			expectEnd(t, far, want)
			if f.Begin(outage) {
				t.Error("a connection stood in an outage")
			}
			// A reset may come before the connection is there.
			if connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.Port())); err == nil {
				defer connection.Close()
				if err := connection.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				if _, err := connection.Read(make([]byte, 1)); err == nil {
					t.Error("a connection was served in an outage")
				}
			}
			f.Heal()
			joined(t, f, peer)
		})
	}
}

func TestSilentOutageHoldsEverythingUp(t *testing.T) {
	f, peer := forwarded(t)
	near, far := joined(t, f, peer)
	if !f.Begin(OutageSilent) {
		t.Error("no connection was there to be cut")
	}
	if _, err := io.WriteString(near, "late\n"); err != nil {
		t.Fatal(err)
	}
	near.Close()
	other := dial(t, f)
	if _, err := io.WriteString(other, "late too\n"); err != nil {
		t.Fatal(err)
	}
	if err := far.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v in an outage, want nothing", got, err)
	}
	f.Heal()
	if err := far.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(far); err != nil || string(got) != "late\n" {
		t.Errorf("read %q, %v after the outage, want what was held up and the end", got, err)
	}
	second := <-peer
	defer second.Close()
	if got, err := bufio.NewReader(second).ReadString('\n'); err != nil || got != "late too\n" {
		t.Errorf("read %q, %v, want what was held up", got, err)
	}
	exchange(t, second, other, "and more\n")
}

// A connection to a server that does not listen ends, and Close ends a stalled
// connection.
func TestForwarderToNobody(t *testing.T) {
	f, err := Listen("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	expectEnd(t, dial(t, f), io.EOF)
	f.Close()
	f, peer := forwarded(t)
	near, far := joined(t, f, peer)
	f.Begin(OutageSilent)
	f.Close()
	expectEnd(t, near, io.EOF)
	expectEnd(t, far, io.EOF)
}

func TestForwarderPassesOnAndDelays(t *testing.T) {
	f, peer := forwarded(t)
	near, far := joined(t, f, peer)
	const delay = 50 * time.Millisecond
	f.Slow(delay)
	start := time.Now()
	exchange(t, near, far, "slow\n")
	if took := time.Since(start); took < delay {
		t.Errorf("took %v, want %v at least", took, delay)
	}
}

func TestForwarderStallsOneWay(t *testing.T) {
	f, peer := forwarded(t)
	near, far := joined(t, f, peer)
	f.Stall(ToServer)
	if _, err := io.WriteString(near, "held\n"); err != nil {
		t.Fatal(err)
	}
	exchange(t, far, near, "passed\n")
	if err := far.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if count, err := far.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came through", count)
	}
	if err := far.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.Heal()
	if got, err := bufio.NewReader(far).ReadString('\n'); err != nil || got != "held\n" {
		t.Errorf("read %q, %v, want what was held up", got, err)
	}
}

func TestForwarderCuts(t *testing.T) {
	f, peer := forwarded(t)
	near, far := joined(t, f, peer)
	f.Cut()
	for _, end := range []net.Conn{near, far} {
		if count, err := end.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes came through", count)
		}
	}
}
