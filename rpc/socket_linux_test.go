package rpc_test

import (
	"context"
	"errors"
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
func TestPulledCable(t *testing.T) {
	refused := make(chan error)
	go func() {
		defer close(refused)
		// From now on the thread has a network of its own. It ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		if err == nil {
			err = setLoopback(true)
		}
		if err != nil {
			refused <- err
			return
		}
		pullCable(t)
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
