package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// startForwarder returns both ends of a connection through a forwarder.
func startForwarder(t *testing.T) (f *forwarder, near, far net.Conn) {
	t.Helper()
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	behind := listen()
	defer behind.Close()
	front := listen()
	f = newForwarder(front, func() (net.Conn, error) { return net.Dial("tcp", behind.Addr().String()) })
	t.Cleanup(f.close)
	near, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = behind.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{near, far} {
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	return f, near, far
}

func send(t *testing.T, to net.Conn, text string) {
	t.Helper()
	if _, err := to.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, from net.Conn, want string) {
	t.Helper()
	buffer := make([]byte, len(want))
	if _, err := io.ReadFull(from, buffer); err != nil || string(buffer) != want {
		t.Fatalf("received %q, error %v, want %q", buffer, err, want)
	}
}

func TestForwarderPassesOnAndDelays(t *testing.T) {
	f, near, far := startForwarder(t)
	send(t, near, "there")
	receive(t, far, "there")
	send(t, far, "back")
	receive(t, near, "back")
	const delay = 50 * time.Millisecond
	f.slow(delay)
	start := time.Now()
	send(t, near, "slow")
	receive(t, far, "slow")
	if took := time.Since(start); took < delay {
		t.Errorf("took %v, want %v at least", took, delay)
	}
}

func TestForwarderStallsOneWay(t *testing.T) {
	f, near, far := startForwarder(t)
	f.stall(forth)
	send(t, near, "held")
	send(t, far, "passed")
	receive(t, near, "passed")
	if err := far.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if count, err := far.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came through", count)
	}
	if err := far.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.heal()
	receive(t, far, "held")
}

func TestForwarderCuts(t *testing.T) {
	f, near, far := startForwarder(t)
	send(t, near, "there")
	receive(t, far, "there")
	f.cut()
	for _, end := range []net.Conn{near, far} {
		if count, err := end.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes came through", count)
		}
	}
}
