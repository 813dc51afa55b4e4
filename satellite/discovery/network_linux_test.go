package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
)

const serial = "ABC123"

// watch starts a watcher that ends with the test.
func watch(t *testing.T, interfaces ...string) *Watcher {
	t.Helper()
	w, err := NewWatcher(WatchConfig{Serial: serial, Interfaces: interfaces, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

// await waits until the location is as wanted, and returns it.
func await(t *testing.T, w *Watcher, what string, wanted func(Location) bool) Location {
	t.Helper()
	begun, limit := time.Now(), time.After(patience)
	for {
		location, changed := w.Location()
		if wanted(location) {
			t.Logf("%s after %v", what, time.Since(begun).Round(time.Millisecond))
			return location
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: not after %v: %+v", what, patience, location)
		}
	}
}

func at(addresses ...string) func(Location) bool {
	return func(l Location) bool {
		if len(l.Boards) != 1 {
			return false
		}
		var got []string
		for _, address := range l.Boards[0].Addresses {
			if !address.IsLinkLocalUnicast() {
				got = append(got, address.String())
			}
		}
		return slices.Equal(got, addresses)
	}
}

func nowhere(l Location) bool { return len(l.Boards) == 0 }

func ambiguous(l Location) bool { return errors.Is(l.Err(), ErrAmbiguous) && l.Settled }

func TestTwoLinks(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := startBoard(t)
	for i := 1; i <= 3; i++ {
		b.connect(fmt.Sprintf("m%d", i), fmt.Sprintf("eth%d", i), fmt.Sprintf("10.0.%d.2/24", i))
		run(t, fmt.Sprintf("addr add 10.0.%d.1/24 dev m%d", i, i))
	}
	b.tell("announce %s 4129 eth1,eth2", serial)
	w := watch(t, "m1", "m2", "m3")
	found := await(t, w, "found on two links", at("10.0.1.2", "10.0.2.2")).Boards[0]
	if !slices.Equal(found.Interfaces, []string{"m1", "m2"}) || found.Port != 4129 || found.ModuleID != "agent" ||
		found.Version != "1.2.3" || !slices.Equal(found.Dialects, []string{"legacy", "v2"}) {
		t.Errorf("found %+v", found)
	}
	if !slices.ContainsFunc(found.Addresses, func(a netip.Addr) bool { return a.IsLinkLocalUnicast() && a.Zone() == "m1" }) {
		t.Errorf("no link-local address with the zone m1 among %v", found.Addresses)
	}
	// Who does not look on a link does not hear of it; who looks on one where
	// nothing is announced finds nothing.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	all, err := Discover(ctx, []string{"m3"})
	if err != nil || len(all) != 0 {
		t.Errorf("Discover found %v on the third link: %v", all, err)
	}
	b.tell("stop")
	await(t, w, "good-bye", nowhere)
}

func TestAddressChange(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := startBoard(t)
	b.connect("m1", "eth1", "10.0.1.2/24")
	run(t, "addr add 10.0.1.1/24 dev m1")
	b.tell("announce %s 4129 eth1", serial)
	w := watch(t, "m1")
	before := await(t, w, "found", at("10.0.1.2"))
	b.tell("ip addr flush dev eth1 scope global")
	b.tell("ip addr add 10.0.1.77/24 dev eth1")
	b.tell("ip addr add fd00::77/64 dev eth1 nodad")
	run(t, "addr add fd00::1/64 dev m1 nodad")
	after := await(t, w, "found at the new addresses", at("10.0.1.77", "fd00::77"))
	if before.Boards[0].ID != after.Boards[0].ID {
		t.Error("the board has become another one")
	}
}

func TestInterfaceThatComesLater(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := startBoard(t)
	// Neither side has the interface yet.
	b.tell("announce %s 4129 eth1", serial)
	w := watch(t, "m1", "m9")
	b.connect("m1", "eth1", "")
	// There, but without an address of IPv4.
	await(t, w, "found at a link-local address", at())
	run(t, "addr add 10.0.1.1/24 dev m1")
	b.tell("ip addr add 10.0.1.2/24 dev eth1")
	await(t, w, "found", at("10.0.1.2"))
	// Unplugged, renumbered and plugged in again.
	run(t, "link set m1 down")
	b.tell("ip addr flush dev eth1 scope global")
	b.tell("ip addr add 10.0.1.3/24 dev eth1")
	run(t, "link set m1 up")
	await(t, w, "found after the cable was out", at("10.0.1.3"))
	// The interface is another one of the same name.
	run(t, "link del m1")
	await(t, w, "not found without the interface", nowhere)
	b.connect("m1", "eth1", "10.0.1.4/24")
	run(t, "addr add 10.0.1.1/24 dev m1")
	await(t, w, "found on the new interface", at("10.0.1.4"))
}

func TestAddressesOfIPv6Only(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	b := startBoard(t)
	b.connect("m1", "eth1", "")
	b.tell("announce %s 4129 eth1", serial)
	found := await(t, watch(t, "m1"), "found", func(l Location) bool { return len(l.Boards) == 1 }).Boards[0]
	if len(found.Addresses) != 1 || found.Addresses[0].Zone() != "m1" || !found.Addresses[0].IsLinkLocalUnicast() {
		t.Errorf("found at %v, want one link-local address with the zone m1", found.Addresses)
	}
}

// Two boards with one serial number, on one link and on two.
func TestDuplicate(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "link add br1 type bridge")
	run(t, "link set br1 up")
	run(t, "addr add 10.0.1.1/24 dev br1")
	boards := []*board{startBoard(t), startBoard(t), startBoard(t)}
	for i, b := range boards {
		b.connect(fmt.Sprintf("m%d", i), "eth1", fmt.Sprintf("10.0.1.1%d/24", i))
	}
	run(t, "link set m0 master br1")
	run(t, "link set m1 master br1")
	run(t, "addr add 10.0.1.1/24 dev m2")
	w := watch(t, "br1", "m2")
	boards[0].tell("announce %s 4129 eth1", serial)
	await(t, w, "found", at("10.0.1.10"))
	boards[1].tell("announce %s 4130 eth1", serial)
	location := await(t, w, "ambiguous on one link", ambiguous)
	if len(location.Boards) != 2 || location.Boards[0].Port == location.Boards[1].Port {
		t.Errorf("boards: %+v", location.Boards)
	}
	boards[0].tell("stop")
	await(t, w, "found again", at("10.0.1.11"))
	boards[2].tell("announce %s 4131 eth1", serial)
	await(t, w, "ambiguous on two links", ambiguous)
	boards[1].tell("stop")
	await(t, w, "found on the other link", at("10.0.1.12"))
}

// Cloned with the address and all, on one link: both claim to be where the other
// is, and neither may be taken for what the other has left behind.
func TestCloneAtTheSameAddress(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "link add br1 type bridge")
	run(t, "link set br1 up")
	run(t, "addr add 10.0.1.1/24 dev br1")
	boards := []*board{startBoard(t), startBoard(t)}
	for i, b := range boards {
		b.connect(fmt.Sprintf("m%d", i), "eth1", "10.0.1.10/24")
		run(t, fmt.Sprintf("link set m%d master br1", i))
	}
	w := watch(t, "br1")
	boards[0].tell("announce %s 4129 eth1", serial)
	await(t, w, "found", at("10.0.1.10"))
	boards[1].tell("announce %s 4129 eth1", serial)
	await(t, w, "ambiguous", ambiguous)
}

func TestBoardThatRestarts(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	run(t, "link add br1 type bridge")
	run(t, "link set br1 up")
	run(t, "addr add 10.0.1.1/24 dev br1")
	w := watch(t, "br1")
	var id string
	for i, address := range []string{"10.0.1.10", "10.0.1.10", "10.0.1.11"} {
		b := startBoard(t)
		b.connect(fmt.Sprintf("m%d", i), "eth1", address+"/24")
		run(t, fmt.Sprintf("link set m%d master br1", i))
		b.tell("announce %s 4129 eth1", serial)
		found := await(t, w, "found", func(l Location) bool { return at(address)(l) && l.Boards[0].ID != id })
		id = found.Boards[0].ID
		b.kill()
	}
}
