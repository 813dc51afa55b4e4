package admission

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/durable/durabletest"

	"go.uber.org/zap"
)

// fakeConnection is a connection of a test.
type fakeConnection struct {
	host string
	sent bool
}

func (c *fakeConnection) RemoteAddr() net.Addr { return at(c.host) }
func (c *fakeConnection) Silent() bool         { return !c.sent }

type limitedConnections struct {
	connectionLimit[*fakeConnection]
	t *testing.T
}

// connect adds a connection of a host, and returns it with the one that made room for it.
func (l *limitedConnections) connect(host string) (added, dropped *fakeConnection) {
	l.t.Helper()
	added = &fakeConnection{host: host}
	dropped, full := l.add(added)
	if full != (dropped != nil) || l.pending[added] == nil {
		l.t.Fatalf("a connection of %s was not added: %v", host, dropped)
	}
	return added, dropped
}

func (l *limitedConnections) count(host string) (count int) {
	for conn := range l.pending {
		if conn.host == host {
			count++
		}
	}
	return count
}

// A newcomer always gets a place. Where its address has all of its places, one of that address goes.
func TestAnAddressMakesRoomForItself(t *testing.T) {
	l := limitedConnections{t: t}
	for range maxPending {
		if _, dropped := l.connect("192.0.2.1"); dropped != nil {
			t.Error("a connection was dropped although there was room")
		}
	}
	other, _ := l.connect("192.0.2.2")
	survived := 0
	first, _ := l.connect("192.0.2.1")
	for range 1000 {
		if l.pending[first] != nil {
			survived++
		}
		if _, dropped := l.connect("192.0.2.1"); dropped == nil || dropped.host != "192.0.2.1" {
			t.Fatalf("dropped %v", dropped)
		}
	}
	if l.count("192.0.2.1") != maxPending || l.pending[other] == nil {
		t.Errorf("%d connections of the address", l.count("192.0.2.1"))
	}
	// Neither the oldest nor the newest goes every time.
	if survived == 0 || survived > 500 {
		t.Errorf("a connection survived %d of 1000 newcomers", survived)
	}
}

// Where all places are taken, those go that have most.
func TestAddressesMakeRoomForEachOther(t *testing.T) {
	l := limitedConnections{t: t}
	for i := range maxPendingAll / maxPending {
		for range maxPending {
			l.connect(fmt.Sprintf("192.0.2.%d", i))
		}
	}
	newcomer, dropped := l.connect("198.51.100.1")
	if dropped == nil || len(l.pending) != maxPendingAll {
		t.Fatalf("dropped %v, %d are pending", dropped, len(l.pending))
	}
	for i := range 1000 {
		if _, dropped := l.connect(fmt.Sprintf("192.0.2.%d", i%4)); dropped == newcomer {
			t.Fatal("a flood of few addresses has pushed another out")
		}
	}
	if len(l.pending) != maxPendingAll {
		t.Errorf("%d are pending", len(l.pending))
	}
}

// The link's peer has places of its own, before and after the process was restarted.
func TestThePeerHasPlacesOfItsOwn(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		l := limitedConnections{t: t}
		if restarted {
			l.setPeer("192.0.2.1")
		} else if first, _ := l.connect("192.0.2.1"); !l.accept(first) || l.accept(first) {
			t.Error("the first address is not a new peer, or twice")
		}
		for i := range maxPendingAll {
			if _, dropped := l.connect(fmt.Sprintf("198.51.100.%d", i)); dropped != nil {
				t.Errorf("connection %d was not given a place", i)
			}
		}
		peer, dropped := l.connect("192.0.2.1")
		if dropped != nil {
			t.Error("the peer took a place that is another's")
		}
		for i := range 1000 {
			if _, dropped := l.connect(fmt.Sprintf("203.0.113.%d", i%200)); dropped == peer {
				t.Fatal("the peer was pushed out")
			}
		}
		for range 2 * maxPending {
			l.connect("192.0.2.1")
		}
		if len(l.pending) != maxPendingAll+maxPending {
			t.Errorf("%d are pending", len(l.pending))
		}
	}
}

// Silent connections go before one that has sent something, and those before one that has announced itself.
func TestSilentConnectionsGoFirst(t *testing.T) {
	l := limitedConnections{t: t}
	announced, _ := l.connect("192.0.2.1")
	l.announce(announced)
	speaking, _ := l.connect("192.0.2.1")
	speaking.sent = true
	for range 1000 {
		l.connect("192.0.2.1")
	}
	if l.pending[announced] == nil || l.pending[speaking] == nil {
		t.Error("one that has said something was dropped for silent ones")
	}
	for range 1000 {
		noisy, _ := l.connect("192.0.2.1")
		noisy.sent = true
	}
	if l.pending[announced] == nil {
		t.Error("the one that has announced itself was dropped")
	}
}

// A pending connection ends after a time, and one that became the link's does not.
func TestPendingConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitedConnections{t: t}
		ended := make(chan *fakeConnection, 2)
		silent, _ := l.connect("192.0.2.1")
		accepted, _ := l.connect("192.0.2.2")
		for _, conn := range []*fakeConnection{silent, accepted} {
			l.start(conn, func() { ended <- conn })
		}
		l.accept(accepted)
		time.Sleep(pendingTimeout - time.Nanosecond)
		synctest.Wait()
		if len(ended) > 0 {
			t.Errorf("%v ended early", <-ended)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(ended) != 1 || <-ended != silent || len(l.pending) != 0 {
			t.Errorf("%d more ended, pending %v", len(ended), l.pending)
		}
	})
}

// The peer's address survives the process. A file that was damaged does no harm.
func TestThePeersAddressIsKept(t *testing.T) {
	directory := t.TempDir()
	file := &peerFile{path: filepath.Join(directory, "remote_controller.peer")}
	if address, err := file.read(); address != "" || err != nil {
		t.Errorf("read %q, %v before the first write", address, err)
	}
	for _, address := range []string{"192.0.2.1", "2001:db8::1"} {
		if err := file.write(address); err != nil {
			t.Fatal(err)
		}
		if got, err := file.read(); got != address || err != nil {
			t.Errorf("read %q, %v, want %s", got, err, address)
		}
	}
	for _, damaged := range []string{"", "no address", "1.2.3.4\n5.6.7.8\n"} {
		if err := os.WriteFile(filepath.Join(directory, "remote_controller.peer"), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := file.read(); got != "" || err == nil {
			t.Errorf("%q was read as %q, %v", damaged, got, err)
		}
	}
}

func TestThePeersAddressSurvivesCuts(t *testing.T) {
	file := func(directory string) *peerFile {
		return &peerFile{path: filepath.Join(directory, "remote_controller.peer")}
	}
	write := func(address string) func(string) error {
		return func(directory string) error { return file(directory).write(address) }
	}
	durabletest.Cut(t, durabletest.Program{
		Steps:   []func(string) error{write("192.168.1.20"), write("fe80::1")},
		Read:    func(directory string) (string, error) { return file(directory).read() },
		Repeats: true,
	})
}

// TestAPortThatIsAboutToBeFree: whatever forked while the port was closed still has it for a moment.
func TestAPortThatIsAboutToBeFree(t *testing.T) {
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*freePause, func() { held.Close() })
	opened, err := listen(held.Addr().String(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if _, err := listen(held.Addr().String(), ""); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that stays in use: %v", err)
	}
}

// TestThePeerIsRecalled: an agent gives places to the peer that it had before it was restarted, and only to that.
func TestThePeerIsRecalled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "remote_controller.peer")
	for _, address := range []string{"192.168.1.20", "fe80::1"} {
		if err := (&peerFile{path: path}).write(address); err != nil {
			t.Fatal(err)
		}
		policy := NewPolicy(NewProtection(zap.NewNop()))
		if policy.Recall(path); policy.connections.peerHost() != address {
			t.Errorf("the peer is %q, want %q", policy.connections.peerHost(), address)
		}
	}
}
