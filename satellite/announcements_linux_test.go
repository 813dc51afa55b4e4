package satellite_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// strangerIdentity is in the environment of a stranger's process: the directory of an identity that nobody trusts.
const strangerIdentity = "SATELLITE_TEST_STRANGER"

// The addresses of a stranger: at the first one it offers an identity that nobody trusts, at the second one it takes
// connections and says nothing.
const (
	strangerAddress = "10.9.0.66"
	silentAddress   = "10.9.0.67"
)

// TestRemoteStranger is a machine on the network of the boards that announces what it likes. The tests below start it.
func TestRemoteStranger(t *testing.T) {
	directory := os.Getenv(strangerIdentity)
	if directory == "" {
		t.Skip("the process of a stranger, which other tests start")
	}
	runIP(t, "link set lo up")
	answers := os.NewFile(3, "answers")
	answer := func(err error, output []byte) {
		if err == nil {
			fmt.Fprintln(answers, "ok")
			return
		}
		fmt.Fprintln(answers, strings.ReplaceAll(err.Error()+string(output), "\n", " "))
	}
	ended := make(chan struct{})
	var sending sync.WaitGroup
	defer sending.Wait()
	defer close(ended)
	answer(nil, nil)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "ip":
			output, err := exec.Command("ip", strings.Fields(rest)...).CombinedOutput()
			answer(err, output)
		case "listen":
			answer(listenAsStranger(t, directory), nil)
		case "fill": // once
			group, err := dialGroup()
			for i := 0; err == nil && i < 64; i++ {
				_, err = group.Write(announcementOf(fmt.Sprint("INVENTED", i), strangerAddress))
			}
			answer(err, nil)
		case "flood": // without end, serial numbers of its own or the one given
			group, err := dialGroup()
			answer(err, nil)
			if err != nil {
				continue
			}
			sending.Go(func() {
				for i := 0; ; i++ {
					serial := rest
					if serial == "" {
						serial = rand.Text()
					}
					address := []string{strangerAddress, silentAddress, fmt.Sprintf("10.9.0.%d", 100+i%100)}[i%3]
					if _, err := group.Write(announcementOf(serial, address)); err != nil {
						t.Error(err)
					}
					select {
					case <-ended:
						return
					case <-time.After(time.Millisecond):
					}
				}
			})
		}
	}
}

// listenAsStranger takes connections at the addresses of a stranger until the process ends.
func listenAsStranger(t *testing.T, directory string) error {
	store, err := identity.Open(directory, identity.Options{})
	if err != nil {
		return err
	}
	offered, err := net.Listen("tcp", strangerAddress+":4129")
	if err != nil {
		return err
	}
	silent, err := net.Listen("tcp", silentAddress+":4129") // the kernel takes the connections
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		offered.Close()
		silent.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := offered.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Second))
				tls.Server(conn, store.ServerTLS()).HandshakeContext(t.Context())
			})
		}
	})
	return nil
}

// dialGroup returns a socket that sends to the group of multicast DNS, from its port.
func dialGroup() (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(strangerAddress), Port: 5353}, Control: func(_, _ string, conn syscall.RawConn) (failed error) {
		err := conn.Control(func(descriptor uintptr) {
			failed = syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		})
		return errors.Join(err, failed)
	}}
	return dialer.Dial("udp4", "224.0.0.251:5353")
}

// announcementOf returns the announcement of a board that there is not. Each has another id.
func announcementOf(serial, address string) []byte {
	id := rand.Text()
	name := func(text string) dnsmessage.Name { return dnsmessage.MustNewName(text) }
	service, instance, host := "_evsatellite._tcp.local.", id+"._evsatellite._tcp.local.", id+".local."
	header := func(of string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name(of), Class: dnsmessage.ClassINET, TTL: 4500}
	}
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true, Authoritative: true})
	builder.EnableCompression()
	steps := []error{
		builder.StartAnswers(),
		builder.PTRResource(header(service), dnsmessage.PTRResource{PTR: name(instance)}),
		builder.SRVResource(header(instance), dnsmessage.SRVResource{Port: 4129, Target: name(host)}),
		builder.TXTResource(header(instance), dnsmessage.TXTResource{TXT: []string{"serial=" + serial, "id=" + id}}),
		builder.AResource(header(host), dnsmessage.AResource{A: netip.MustParseAddr(address).As4()}),
	}
	for _, err := range steps {
		if err != nil {
			panic(err)
		}
	}
	packet, err := builder.Finish()
	if err != nil {
		panic(err)
	}
	return packet
}

// stranger is a machine on the main board's bridge.
func startStranger(t *testing.T) *remoteBoard {
	t.Helper()
	directory := t.TempDir() + "/stranger"
	if _, err := identity.Create(directory, identity.CreateOptions{Serial: "ABC123"}); err != nil {
		t.Fatal(err)
	}
	b := startRemoteProcess(t, "TestRemoteStranger", strangerIdentity+"="+directory)
	b.plug("ms", strangerAddress)
	b.tell("ip addr add %s/24 dev eth1", silentAddress)
	b.tell("listen")
	return b
}

// secured returns how to start a satellite and a main board, on a plain link and with mutual TLS.
func secured(t *testing.T, security string) (keys map[string]any, satellites func() *remoteBoard) {
	t.Helper()
	if security == "plain" {
		return nil, func() *remoteBoard { return startRemote(t, "ABC123") }
	}
	p := &paired{t: t, satellite: t.TempDir() + "/satellite", controller: t.TempDir() + "/controller"}
	p.trust(p.controller, p.create(p.satellite, "ABC123"))
	p.trust(p.satellite, p.create(p.controller, "MAIN01"))
	keys = map[string]any{"security": "mutual-tls", "identity_directory": p.controller}
	return keys, func() *remoteBoard {
		return startRemoteProcess(t, "TestRemoteBoard", remoteSerial+"=ABC123", remoteIdentity+"="+p.satellite)
	}
}

// Whatever strangers announce before a satellite is heard, it is found.
func TestInventedSatellitesPlain(t *testing.T)     { testInventedSatellites(t, "plain") }
func TestInventedSatellitesMutualTLS(t *testing.T) { testInventedSatellites(t, "mutual-tls") }

func testInventedSatellites(t *testing.T, security string) {
	if !inNamespace(t) {
		return
	}
	makeBridge(t)
	keys, satellites := secured(t, security)
	stranger := startStranger(t)
	d := startDiscovering(t, keys)
	waitUntil(t, "the satellite is looked for", func() bool { return d.controller.Status().Discovery == "not found" })
	stranger.tell("fill")
	stranger.tell("flood")
	begun := time.Now()
	satellites().plug("m1", "10.9.0.11")
	d.waitReady()
	waitUntil(t, "the link stands", d.connected)
	t.Logf("the link stands %v after the satellite was plugged in", time.Since(begun).Round(time.Millisecond))
	if boards := d.controller.Status().Boards; len(boards) != 1 {
		t.Errorf("boards: %+v", boards)
	}
}

// A stranger that announces the serial number without end, and takes connections, delays a satellite that proves it,
// and changes nothing of a link that stands.
func TestAStrangerWithTheSerial(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	makeBridge(t)
	keys, satellites := secured(t, "mutual-tls")
	stranger := startStranger(t)
	stranger.tell("flood ABC123")
	d := startDiscovering(t, keys)
	waitUntil(t, "the stranger was tried", func() bool { return len(d.security.of("peer_rejected", "untrusted")) > 0 })
	board := satellites()
	begun := time.Now()
	board.plug("m1", "10.9.0.11")
	d.waitReady()
	waitUntil(t, "the link stands", d.connected)
	t.Logf("the link stands %v after the satellite was plugged in", time.Since(begun).Round(time.Millisecond))
	if address := d.remote(t); address != "10.9.0.11" {
		t.Errorf("connected to %s", address)
	}
	// It has to prove the serial number again and again, beside the link.
	tried := len(d.security.of("peer_rejected", "untrusted"))
	waitUntil(t, "the stranger was tried beside the link", func() bool { return len(d.security.of("peer_rejected", "untrusted")) > tried })
	board.tell("publish DE*1")
	if id := receive(t, d.ids, "the id"); id != "DE*1" {
		t.Errorf("id %s", id)
	}
	status := d.controller.Status()
	if status.Discovery != "found" || len(status.Boards) != 1 || !status.Connected || status.Resumes != 0 || len(d.faults) != 0 {
		t.Errorf("%d faults, status beside a stranger: %+v", len(d.faults), status)
	}
	// The link goes on at another address.
	board.tell("ip addr flush dev eth1 scope global")
	board.tell("ip addr add 10.9.0.12/24 dev eth1")
	waitUntil(t, "the link is resumed", func() bool { return d.controller.Status().Resumes == 1 && d.connected() })
	if address := d.remote(t); address != "10.9.0.12" {
		t.Errorf("the link goes on at %s", address)
	}
}

// Two boards with one identity both prove the serial number: that is a duplicate, and neither is chosen.
func TestTwoBoardsThatProveOneSerial(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	makeBridge(t)
	keys, satellites := secured(t, "mutual-tls")
	first, second := satellites(), satellites()
	first.plug("m1", "10.9.0.11")
	d := startDiscovering(t, keys)
	d.waitReady()
	waitUntil(t, "the link stands", d.connected)
	second.plug("m2", "10.9.0.22")
	d.expectFault("DuplicateSerial", true)
	status := d.controller.Status()
	if status.Discovery != "ambiguous" || len(status.Boards) != 2 || !status.Connected || status.Resumes != 0 {
		t.Errorf("status with two boards: %+v", status)
	}
	if status := second.status(); status.Controller != "" {
		t.Errorf("the second board was spoken to from %s", status.Controller)
	}
	first.tell("ip addr flush dev eth1 scope global")
	first.tell("ip addr add 10.9.0.12/24 dev eth1")
	waitUntil(t, "the link is resumed", func() bool { return d.controller.Status().Resumes == 1 && d.connected() })
	if address := d.remote(t); address != "10.9.0.12" {
		t.Errorf("the link goes on at %s, want 10.9.0.12", address)
	}
	runIP(t, "link set m2 nomaster")
	d.expectFault("DuplicateSerial", false)
}
