package admission

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// queueLength returns how many connections the system keeps for a listener.
func queueLength(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Skip(err)
	}
	length, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || length > 8192 {
		t.Skipf("the queue of a listener has %s places", text)
	}
	return length
}

func dialFrom(host, address string, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: timeout}
	return dialer.Dial("tcp", address)
}

// Strangers that come faster than they are accepted do not keep the link's peer waiting, whatever its address.
func TestThePeerHasAQueueOfItsOwn(t *testing.T) {
	length := queueLength(t)
	for _, test := range []struct{ listen, peer, strangers string }{
		{"127.0.0.1:0", "127.0.0.1", "127.0.2.%d"},
		{"[::]:0", "127.0.0.1", "127.0.2.%d"},
		{"[::]:0", "127.0.0.1", "::1"},
		{"[::]:0", "::1", "127.0.2.%d"},
	} {
		t.Run(test.listen+", peer "+test.peer+", strangers "+test.strangers, func(t *testing.T) {
			policy := NewPolicy(NewProtection(zap.NewNop()))
			policy.connections.setPeer(test.peer)
			listener, err := policy.Listen(test.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			_, number, _ := net.SplitHostPort(listener.Addr().String())
			to := func(host string) string {
				if strings.Contains(host, ":") {
					return net.JoinHostPort("::1", number)
				}
				return net.JoinHostPort("127.0.0.1", number)
			}
			// Nobody accepts: the queue of the strangers is full when one of them does not get in.
			for i := 0; ; i++ {
				host := test.strangers
				if strings.Contains(host, "%d") {
					host = fmt.Sprintf(host, 1+i%50)
				}
				conn, err := dialFrom(host, to(host), 100*time.Millisecond)
				if err != nil {
					break
				}
				defer conn.Close()
				if i > 3*length {
					t.Fatalf("%d connections wait", i)
				}
			}
			conn, err := dialFrom(test.peer, to(test.peer), 20*time.Second)
			if err != nil {
				t.Fatalf("the peer: %v", err)
			}
			defer conn.Close()
			// It does not wait until the others are accepted.
			for range length / 2 {
				accepted, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer accepted.Close()
				if accepted.RemoteAddr().String() == conn.LocalAddr().String() {
					return
				}
			}
			t.Error("strangers were accepted first")
		})
	}
}

// A peer with another address gets the queue, and the one before is a stranger.
func TestTheQueueOfThePeerGoesToTheNext(t *testing.T) {
	listener, err := listen("127.0.0.1:0", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p, ok := listener.(*port)
	if !ok {
		t.Fatal("the port has one queue")
	}
	for _, peer := range []string{"127.0.0.1", "127.0.0.2", "::1", "", "no address"} {
		if err := p.prefer(peer); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
			conn, err := dialFrom(host, listener.Addr().String(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			select {
			case got := <-p.fromPeer:
				if host != peer {
					t.Errorf("%s is in the queue of %q", host, peer)
				}
				got.conn.Close()
			case got := <-p.fromStrangers:
				if host == peer {
					t.Errorf("%s is in the queue of strangers", host)
				}
				got.conn.Close()
			}
		}
	}
}

// A port that somebody has is not shared, and a port that was closed is free.
func TestAPortIsNobodyElses(t *testing.T) {
	listener, err := listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if _, err := listen(address, ""); err == nil {
		t.Error("the port was opened twice")
	}
	conn, err := dialFrom("127.0.0.1", address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 2 {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := listener.Accept(); err == nil {
		t.Error("a closed port accepts")
	}
	again, err := listen(address, "")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A port has two queues whatever forks meanwhile: a forked process has all sockets for a moment. Where a port was closed and
// opened again for its second queue, several of a thousand had one.
func TestAPortIsOpenedBesideForks(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var forking sync.WaitGroup
	defer forking.Wait()
	defer stop()
	for range 3 {
		forking.Go(func() {
			for ctx.Err() == nil {
				_ = exec.Command("true").Run()
			}
		})
	}
	for range 1000 {
		listener, err := listen("127.0.0.1:0", "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := listener.(*port); !ok {
			t.Error("the port has one queue")
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}
