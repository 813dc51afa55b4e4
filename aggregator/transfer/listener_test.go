package transfer

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// holdOpen holds count connections open from an address, and opens new ones for those that are closed, until the test
// ends. It returns once all were open.
func holdOpen(t *testing.T, host, address string, count int) {
	t.Helper()
	var running, open sync.WaitGroup
	ended := make(chan struct{})
	open.Add(count)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
	for range count {
		running.Go(func() {
			first := sync.OnceFunc(open.Done)
			for {
				conn, err := dialer.Dial("tcp", address)
				first()
				if err == nil {
					var watching sync.WaitGroup
					closed := make(chan struct{})
					watching.Go(func() {
						select {
						case <-ended:
						case <-closed:
						}
						conn.Close()
					})
					for buffer := make([]byte, 100); err == nil; {
						_, err = conn.Read(buffer)
					}
					close(closed)
					watching.Wait()
				}
				select {
				case <-ended:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() {
		close(ended)
		running.Wait()
	})
	open.Wait()
}

// Connections that one board only holds open keep neither another board's upload out, nor its own.
func TestSilentConnectionsKeepNoBoardOut(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip(err)
	}
	for _, protocol := range []string{"ftp", "http"} {
		for _, board := range []string{"127.0.0.1", "127.0.0.2"} {
			t.Run(protocol+" of "+board, func(t *testing.T) {
				r := newTestReceiver(t, protocol, "127.0.0.1", ReceiverConfig{})
				peers := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
				slot, location := r.open(t, "127.0.0.1", peers)
				holdOpen(t, "127.0.0.1", net.JoinHostPort("127.0.0.1", fmt.Sprint(r.port)), 300)
				command := exec.CommandContext(t.Context(), curl, "--silent", "--show-error", "--interface", board, "--connect-timeout", "20",
					"--max-time", "40", "--retry", "60", "--retry-all-errors", "--retry-delay", "1", "--upload-file", "-", location+"diagnostics.txt")
				command.Stdin = strings.NewReader("content")
				if output, err := command.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, output)
				}
				if complete, incomplete := names(slot); len(complete) != 1 {
					t.Errorf("complete %v, incomplete %v", complete, incomplete)
				}
			})
		}
	}
}

// A board that has logged in keeps its connection, whoever comes after it. One request has a bounded number of them.
func TestConnectionsThatHaveLoggedInStay(t *testing.T) {
	r := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	_, location := r.open(t, "127.0.0.1", loopback)
	parsed, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := parsed.User.Password()
	logins := 0
	var conns []net.Conn
	for range maxSessions + 5 {
		conn := dialTCP(t, parsed.Host)
		expect(t, conn, "220")
		say(conn, "USER "+parsed.User.Username())
		expect(t, conn, "331")
		say(conn, "PASS "+password)
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		} else if strings.HasPrefix(line, "230") {
			logins++
			conns = append(conns, conn)
		}
	}
	if logins != maxSessions {
		t.Errorf("%d logins of one request, want %d", logins, maxSessions)
	}
	holdOpen(t, "127.0.0.1", parsed.Host, 300)
	for i, conn := range conns {
		say(conn, "NOOP")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "200") {
			t.Fatalf("connection %d: %q, %v", i, line, err)
		}
	}
}

// Satellites behind a router that translates addresses have one address. When all of them connect before one has logged
// in, each keeps its connection.
func TestBoardsWithOneAddressConnectAtOnce(t *testing.T) {
	r := newTestReceiver(t, "ftp", "127.0.0.1", ReceiverConfig{})
	conns := make([]net.Conn, 64)
	users := make([]*url.URL, len(conns))
	for i := range conns {
		_, location := r.open(t, "127.0.0.1", loopback)
		parsed, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		users[i] = parsed
	}
	for i := range conns {
		conns[i] = dialTCP(t, users[i].Host)
		expect(t, conns[i], "220")
	}
	for i, conn := range conns {
		say(conn, "USER "+users[i].User.Username())
		expect(t, conn, "331")
		password, _ := users[i].User.Password()
		say(conn, "PASS "+password)
		expect(t, conn, "230")
	}
}
