package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// wired is a wire to a peer that hands every connection over.
func wired(t *testing.T) (wire *Wire, peer <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(agentAddress, "0"))
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
	if wire, err = NewWire(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Close)
	return wire, connections
}

func dialWire(t *testing.T, wire *Wire) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", net.JoinHostPort(agentAddress, strconv.Itoa(wire.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(wholeStation)); err != nil {
		t.Fatal(err)
	}
	return connection
}

func joined(t *testing.T, wire *Wire, peer <-chan net.Conn) (near, far net.Conn) {
	t.Helper()
	near = dialWire(t, wire)
	far = <-peer
	t.Cleanup(func() { far.Close() })
	if err := far.SetDeadline(time.Now().Add(wholeStation)); err != nil {
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

func TestWireEndsConnections(t *testing.T) {
	for outage, want := range map[Outage]error{OutageClosed: io.EOF, OutageReset: syscall.ECONNRESET} {
		t.Run(outage.String(), func(t *testing.T) {
			wire, peer := wired(t)
			near, far := joined(t, wire, peer)
			if !wire.Cut(outage) {
				t.Error("no connection was there to be cut")
			}
			expectEnd(t, near, want)
			expectEnd(t, far, want)
			if wire.Cut(outage) {
				t.Error("a connection stood in an outage")
			}
			// A reset may come before the connection is there.
			if connection, err := net.Dial("tcp", net.JoinHostPort(agentAddress, strconv.Itoa(wire.Port()))); err == nil {
				defer connection.Close()
				if err := connection.SetReadDeadline(time.Now().Add(wholeStation)); err != nil {
					t.Fatal(err)
				}
				if _, err := connection.Read(make([]byte, 1)); err == nil {
					t.Error("a connection was served in an outage")
				}
			}
			wire.Heal()
			joined(t, wire, peer)
		})
	}
}

func TestSilentWireHoldsEverythingUp(t *testing.T) {
	wire, peer := wired(t)
	near, far := joined(t, wire, peer)
	if !wire.Cut(OutageSilent) {
		t.Error("no connection was there to be cut")
	}
	if _, err := io.WriteString(near, "late\n"); err != nil {
		t.Fatal(err)
	}
	near.Close()
	other := dialWire(t, wire)
	if _, err := io.WriteString(other, "late too\n"); err != nil {
		t.Fatal(err)
	}
	if err := far.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v in an outage, want nothing", got, err)
	}
	wire.Heal()
	if err := far.SetReadDeadline(time.Now().Add(wholeStation)); err != nil {
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

// Where no agent listens, a connection ends; and Close ends a silent one.
func TestWireToNobody(t *testing.T) {
	wire, err := NewWire("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Close()
	expectEnd(t, dialWire(t, wire), io.EOF)
	wire.Cut(OutageSilent)
	dialWire(t, wire)
}
