package rpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/rpc/rpctest"
)

// TestPulledCable takes the network away under an idle connection, and under one with a call under way. Both ends must
// notice after the configured time, without any traffic of their own.
func TestPulledCable(t *testing.T) { inOwnNetwork(t, pullCable) }

// inOwnNetwork runs a test on a thread with a network of its own, which ends with the test.
func inOwnNetwork(t *testing.T, run func(*testing.T)) {
	t.Helper()
	refused := make(chan error)
	go func() {
		defer close(refused)
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			err = setLoopback(true)
		}
		if err != nil {
			refused <- err
			return
		}
		run(t)
	}()
	if err := <-refused; err != nil {
		t.Skipf("needs the right to make a network namespace and to change it (CAP_SYS_ADMIN, CAP_NET_ADMIN): %v", err)
	}
}

func pullCable(t *testing.T) {
	const keepAlive, userTimeout = time.Second, 2 * time.Second
	gone := make(chan error, 2)
	server := rpc.NewServer(rpc.ServerConfig{
		InsecurePlaintext: true, KeepAlive: keepAlive, UserTimeout: userTimeout,
		OnSessionEnd: func(_ *rpc.Session, err error) { gone <- err },
	})
	if err := rpctest.BindFunctions(server); err != nil {
		t.Error(err)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), listener) }()
	config := rpc.Config{InsecurePlaintext: true, KeepAlive: keepAlive, UserTimeout: userTimeout}
	var clients []*rpc.Client
	for range 2 {
		client, err := rpc.Dial(t.Context(), listener.Addr().String(), config)
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		clients = append(clients, client)
		if err := client.Call(t.Context(), "nop", nil); err != nil {
			t.Error(err)
			return
		}
	}
	call := clients[1].Go(context.Background(), "sleep", nil, 3_600_000)
	start := time.Now()
	if err := setLoopback(false); err != nil {
		t.Error(err)
		return
	}
	for _, client := range clients {
		<-client.Done()
		if !errors.Is(client.Err(), net.ErrClosed) || !errors.Is(client.Err(), syscall.ETIMEDOUT) {
			t.Errorf("a client ended with %v", client.Err())
		}
	}
	if <-call.Done; !errors.Is(call.Error, net.ErrClosed) {
		t.Errorf("the call ended with %v", call.Error)
	}
	for range clients {
		if err := <-gone; err == nil {
			t.Error("the server took a lost client for an orderly one")
		}
	}
	// The system checks its timers rarely. Without the options noticing takes hours.
	if took := time.Since(start); took > time.Minute {
		t.Errorf("noticed after %v", took)
	} else {
		t.Logf("noticed after %v", took)
	}
	server.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// setLoopback switches the loopback interface of the thread's network on or off.
func setLoopback(up bool) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	flags := request.Uint16() &^ unix.IFF_UP
	if up {
		flags |= unix.IFF_UP
	}
	request.SetUint16(flags)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}

// TestUnreachableHost tells a host that acknowledges from one that cannot be reached, whether or not its program
// replies. What the latter has not acknowledged does not arrive after the end of the connection.
func TestUnreachableHost(t *testing.T) { inOwnNetwork(t, loseHost) }

func loseHost(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	defer listener.Close()
	client, err := rpc.Dial(t.Context(), listener.Addr().String(), rpc.Config{InsecurePlaintext: true})
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	peer, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer peer.Close()
	slow := client.Go(t.Context(), "slow", nil)
	if _, err := peer.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool { return client.Unacknowledged() == 0 })

	setUp(t, false)
	late := client.Go(t.Context(), "late", nil)
	waitFor(t, func() bool { return client.Unacknowledged() > time.Second })
	client.Close()
	for _, call := range []*rpc.Call{slow, late} {
		if <-call.Done; !errors.Is(call.Error, rpc.ErrClosed) {
			t.Errorf("%s ended with %v", call.Method, call.Error)
		}
	}
	if silent := client.Unacknowledged(); silent != 0 {
		t.Errorf("a closed connection is unacknowledged for %v", silent)
	}

	setUp(t, true)
	// TCP would send again within two seconds.
	if err := peer.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Error(err)
	}
	received, _ := io.ReadAll(peer)
	if rest := "\x00\x01\xa4slow\x90"; string(received) != rest {
		t.Errorf("received %q, want the rest of the first request, %q", received, rest)
	}
}

func setUp(t *testing.T, up bool) {
	t.Helper()
	if err := setLoopback(up); err != nil {
		t.Error(err)
	}
}

// waitFor waits for a condition of the kernel's, which tells nobody of it.
func waitFor(t *testing.T, fulfilled func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !fulfilled(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("waited in vain")
			return
		}
	}
}

func TestUnacknowledgedWithoutTCP(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	client := rpc.NewClient(near, rpc.Config{})
	defer client.Close()
	if silent := client.Unacknowledged(); silent != 0 {
		t.Errorf("a pipe is unacknowledged for %v", silent)
	}
}

// TestSilent wants a session to know whether its client has sent something, before that is read.
func TestSilent(t *testing.T) {
	sessions := make(chan *rpc.Session, 1)
	begin := make(chan struct{})
	server := rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true, OnSession: func(s *rpc.Session) {
		sessions <- s
		<-begin // nothing is read until then
	}})
	defer close(begin)
	conn, err := net.Dial("tcp", serve(t, server))
	must(t, err)
	defer conn.Close()
	session := <-sessions
	if !session.Silent() {
		t.Error("a client that has sent nothing is not silent")
	}
	_, err = conn.Write([]byte{0})
	must(t, err)
	for deadline := time.Now().Add(time.Minute); session.Silent(); {
		if time.Now().After(deadline) {
			t.Fatal("a client that has sent a byte stays silent")
		}
		time.Sleep(time.Millisecond)
	}
}
