package satellite_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// from connects from one of the machine's own addresses.
func from(t *testing.T, host, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// overTLS does what a stranger can within TLS, and returns what it was told.
func overTLS(conn net.Conn, config *tls.Config) []byte {
	secure := tls.Client(conn, config)
	if secure.Handshake() != nil {
		return nil
	}
	// A call of i_am_here.
	_, _ = secure.Write([]byte("\x94\x00\x01\xa9i_am_here\x90"))
	told, _ := io.ReadAll(secure)
	return told
}

// Who cannot prove who he is gets nothing from the port of a protected link: no
// word of the protocol, and no change of the agent's state. Each attempt is
// counted, and logged with its address and reason.
func TestAStrangerOnThePort(t *testing.T) {
	t.Parallel()
	p := pair(t)
	log, security := watched(t)
	s := startSatellite(t, everesttest.NewBroker(t), p.protect(satelliteOptions{agent: satellite.AgentConfig{Logger: log}}))
	waitUntil(t, "the agent waits", func() bool { return s.agent.Status().State == "Waiting" })

	elsewhere := filepath.Join(t.TempDir(), "stranger")
	p.create(elsewhere, "MAIN01")
	p.trust(elsewhere, mustLoad(t, p.satellite))
	stranger, err := identity.Open(elsewhere, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	controller, err := identity.Open(p.controller, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	old := controller.ClientTLS("", nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	nobody := controller.ClientTLS("", nil)
	nobody.GetClientCertificate = nil

	attempts := []struct {
		reason string
		// attempt returns what it was told inside of TLS; bytes outside of it are
		// read by the test.
		attempt func(conn net.Conn) []byte
	}{
		{"not_tls", func(conn net.Conn) []byte {
			_, _ = conn.Write([]byte("\x94\x00\x01\xa9i_am_here\x90\x94\x00\x02\xabsytem_reset\x92\xa4Soft\xc2"))
			return nil
		}},
		{"not_tls", func(conn net.Conn) []byte {
			_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: charger\r\n\r\n"))
			return nil
		}},
		{"not_tls", func(conn net.Conn) []byte {
			_, _ = conn.Write([]byte(strings.Repeat("\xde\xad\xbe\xef", 5000)))
			return nil
		}},
		{"no_certificate", func(conn net.Conn) []byte { return overTLS(conn, nobody) }},
		{"untrusted", func(conn net.Conn) []byte { return overTLS(conn, stranger.ClientTLS("", nil)) }},
		{"tls_version", func(conn net.Conn) []byte { return overTLS(conn, old) }},
		{"closed", func(conn net.Conn) []byte {
			_, _ = conn.Write([]byte{22, 3, 1})
			_ = conn.(*net.TCPConn).CloseWrite()
			return nil
		}},
		{"timeout", func(conn net.Conn) []byte {
			// A TLS record that never gets further.
			_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1})
			return nil
		}},
	}
	for i, test := range attempts {
		host := fmt.Sprintf("127.0.0.%d", 10+i)
		conn := from(t, host, s.address)
		told := test.attempt(conn)
		if len(told) > 0 {
			t.Errorf("%s was told %q", test.reason, told)
		}
		rest, _ := io.ReadAll(conn)
		// What TLS itself says at most: one alert, of two bytes after its header.
		if len(rest) > 7 || len(rest) > 0 && rest[0] != 21 {
			t.Errorf("%s was told %q outside of TLS", test.reason, rest)
		}
		line := security.wait("peer_rejected", test.reason)
		waitUntil(t, "the line of "+host, func() bool {
			for _, entry := range security.of("peer_rejected", test.reason) {
				if strings.HasPrefix(entry.ContextMap()["address"].(string), host+":") {
					return true
				}
			}
			return false
		})
		if line.ContextMap()["error"] == "" {
			t.Errorf("the line does not say what happened: %v", line)
		}
		if status := s.agent.Status(); status.State != "Waiting" || status.Controller != "" || status.RejectedPeers != uint64(i+1) {
			t.Errorf("after %s: %+v", test.reason, status)
		}
	}
	if accepted := security.of("peer_accepted", ""); len(accepted) > 0 {
		t.Errorf("accepted: %v", accepted)
	}

	// The board's own controller finds everything as if nobody had been there.
	main := startMainWith(t, everesttest.NewBroker(t), portOf(t, s.address), satellite.ControllerConfig{}, p.protect(satelliteOptions{}).main, nil)
	s.waitReady()
	main.waitReady()
	if status := s.agent.Status(); status.PeerSerial != "MAIN01" || status.Dialect != "v2" {
		t.Errorf("status %+v", status)
	}
}

// A thousand connections cost the board little: a few handshakes at a time, a few
// lines in the log, and the controller is not kept out.
func TestAPortScan(t *testing.T) {
	t.Parallel()
	p := pair(t)
	log, security := watched(t)
	s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{agent: satellite.AgentConfig{Logger: log}}))
	const scans = 1000
	var scanning sync.WaitGroup
	for range 10 {
		scanning.Go(func() {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.66")}, Timeout: patience}
			for range scans / 10 {
				conn, err := dialer.Dial("tcp", s.satellite.address)
				switch {
				case err == nil:
					conn.Close()
				case !errors.Is(err, syscall.ECONNRESET): // an address that is kept out is reset at once
					t.Error(err)
					return
				}
			}
		})
	}
	calls := 0
	for done := make(chan struct{}); ; calls++ {
		if calls == 0 {
			go func() {
				scanning.Wait()
				close(done)
			}()
		}
		if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
			t.Errorf("a command during the scan: %v", err)
		}
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	waitUntil(t, "every connection is counted", func() bool { return s.satellite.agent.Status().RejectedPeers >= scans })
	if lines := len(security.of("peer_rejected", "")); lines > 200 {
		t.Errorf("%d connections made %d lines", scans, lines)
	}
	if len(security.of("peer_rejected", "rate_limited"))+len(security.of("peer_rejected", "too_many")) == 0 {
		t.Error("the address was never kept out")
	}
	if status := s.main.controller.Status(); !status.Connected || status.Resumes != 0 {
		t.Errorf("the link suffered: %+v", status)
	}
}

// A trusted board that does not hold the link is kept out while another does.
func TestOneControllerHoldsTheLink(t *testing.T) {
	t.Parallel()
	p := pair(t)
	second := &paired{t: t, satellite: p.satellite, controller: filepath.Join(t.TempDir(), "second")}
	second.trust(p.satellite, second.create(second.controller, "MAIN02"))
	second.trust(second.controller, mustLoad(t, p.satellite))
	log, security := watched(t)
	s := startStation(t, everesttest.NewBroker(t), p.protect(satelliteOptions{agent: satellite.AgentConfig{Logger: log}}))
	store, err := identity.Open(second.controller, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := rpc.Dial(ctx, s.satellite.address, rpc.Config{TLS: store.ClientTLS("SAT01", nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, function := range []string{"i_am_here", "exit", "link_hello"} {
		if err := client.Call(ctx, function, nil); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", function, err)
		}
	}
	line := security.wait("peer_rejected", "not_controller")
	if serial := line.ContextMap()["serial"]; serial != "MAIN02" {
		t.Errorf("the line names %v", serial)
	}
	if err := s.main.required("evse_manager").Call(t.Context(), "get_evse", nil, nil); err != nil {
		t.Errorf("the link after that: %v", err)
	}
	if status := s.satellite.agent.Status(); status.PeerSerial != "MAIN01" || status.Resumes != 0 {
		t.Errorf("status %+v", status)
	}
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return resolved.Port
}
