package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// hear puts what a board announces into a cache, as received from a sender.
func hear(t testing.TB, c *cache, now time.Time, sender string, board *announcer, ttl time.Duration) {
	t.Helper()
	packet, err := packResponse(0, nil, board.records(board.addresses, ttl, true))
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(packet)
	if err != nil {
		t.Fatal(err)
	}
	c.add(now, board.iface, netip.MustParseAddr(sender), m.records)
}

// forEachCache runs a test with the cache of a watcher that believes announcements, and of one whose boards prove
// their serial number.
func forEachCache(t *testing.T, test func(*testing.T, *cache)) {
	for name, verified := range map[string]bool{"believed": false, "verified": true} {
		t.Run(name, func(t *testing.T) { test(t, newCache(serial, verified)) })
	}
}

func TestInventedAnnouncementsHideNoBoard(t *testing.T) {
	forEachCache(t, func(t *testing.T, c *cache) {
		for i := range 1000 {
			invented := newAnnouncer(t, fmt.Sprint("S", i), "eth0", fmt.Sprintf("10.1.%d.%d", i/250, i%250+1))
			hear(t, c, start, "10.0.0.66", invented, timeToLive)
			// Without a serial number, as where a board sends its records in several packets.
			c.add(start, "eth0", netip.MustParseAddr("10.0.0.66"), []record{
				{name: invented.instance, kind: dnsmessage.TypeSRV, ttl: time.Hour, target: invented.host, port: 1},
				{name: serviceName, kind: dnsmessage.TypePTR, ttl: time.Hour, target: invented.instance},
			})
		}
		kept := 0
		for _, s := range c.sources {
			kept += len(s.instances) + len(s.hosts)
		}
		if kept > maxUnidentified {
			t.Errorf("%d instances and hosts of strangers are kept", kept)
		}
		hear(t, c, start, "10.0.0.1", newAnnouncer(t, serial, "eth0", "10.0.0.1"), timeToLive)
		if found := c.locate(start, serial); found.Err() != nil {
			t.Error(found.Err())
		}
	})
}

// The TTL is a claim of the sender. What counts is when a board was received last.
func TestARecordLivesTwoMinutesBeyondItsLastSighting(t *testing.T) {
	for _, ttl := range []time.Duration{time.Second, timeToLive, 4500 * time.Second, (1<<32 - 1) * time.Second} {
		forEachCache(t, func(t *testing.T, c *cache) {
			board, last := newAnnouncer(t, serial, "eth0", "10.0.0.1"), start.Add(time.Minute)
			hear(t, c, start, "10.0.0.1", board, ttl)
			hear(t, c, last, "10.0.0.1", board, ttl)
			for after, want := range map[time.Duration]int{2*time.Minute - 1: 1, 2 * time.Minute: 0} {
				if found := c.locate(last.Add(after), serial); len(found.Boards) != want {
					t.Errorf("TTL %v: %d boards %v after the last sighting, want %d", ttl, len(found.Boards), after, want)
				}
			}
			c.advance(last.Add(2 * time.Minute))
			if due, any := c.next(last.Add(2 * time.Minute)); any || len(c.sources) > 1 {
				t.Errorf("TTL %v: something is kept until %v", ttl, due)
			}
		})
	}
}

// Where boards prove their serial number, a stranger takes nothing away from what the board itself announced.
func TestAStrangerChangesOnlyItsOwnRecords(t *testing.T) {
	c, now := newCache(serial, true), start
	board := newAnnouncer(t, serial, "eth0", "10.0.0.1")
	hear(t, c, now, "10.0.0.1", board, timeToLive)
	isThere := func(after string) {
		t.Helper()
		endpoint := netip.MustParseAddrPort("10.0.0.1:4129")
		for _, found := range c.locate(now, serial).Boards {
			if slices.Contains(found.Endpoints(), endpoint) {
				return
			}
		}
		t.Errorf("the board is not there after %s: %+v", after, c.locate(now, serial))
	}
	now = now.Add(5 * time.Second)
	hear(t, c, now, "10.0.0.66", board, 0)
	isThere("a goodbye in its name")
	elsewhere := *board
	elsewhere.addresses = addressesOf("10.0.0.66")
	hear(t, c, now, "10.0.0.66", &elsewhere, timeToLive)
	isThere("another address in its name")
	renamed := *board.responder
	renamed.host, renamed.port = "evil.local.", 1
	hear(t, c, now, "10.0.0.66", &announcer{&renamed, "eth0", addressesOf("10.0.0.66")}, timeToLive)
	isThere("another host and port in its name")
	for i := range 1000 {
		hear(t, c, now, "10.0.0.66", newAnnouncer(t, serial, "eth0", fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)), timeToLive)
	}
	isThere("1000 boards of its serial number")
	if boards := len(c.locate(now, serial).Boards); boards > 1+maxSourceInstances {
		t.Errorf("%d boards are kept", boards)
	}
	// A stranger with many addresses may displace it, until it is received again.
	for i := range 1000 {
		sender := fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)
		hear(t, c, now, sender, newAnnouncer(t, serial, "eth0", sender), timeToLive)
	}
	if len(c.sources) > maxSources {
		t.Errorf("%d sources are kept", len(c.sources))
	}
	hear(t, c, now, "10.0.0.1", board, timeToLive)
	isThere("1000 senders")
	if location := c.locate(now, serial); !location.Settled {
		t.Error("not settled, although the first board had its time")
	}
	now = now.Add(time.Second)
	hear(t, c, now, "10.0.0.1", board, 0)
	if boards := c.locate(now, serial).Boards; slices.ContainsFunc(boards, func(b Satellite) bool { return b.ID == board.id() && b.Port == 4129 }) {
		t.Error("the board's own goodbye does not count")
	}
}

// A second board that has just responded to somebody else may respond again only after a second (RFC 6762 section 6).
// The first one must not count as the only one before.
func TestABoardThatMayNotRespondYetIsWaitedFor(t *testing.T) {
	c := newCache(serial, false)
	query, err := packQuery()
	if err != nil {
		t.Fatal(err)
	}
	asked, err := parse(query)
	if err != nil {
		t.Fatal(err)
	}
	boards := map[*responder]string{}
	for _, address := range []string{"10.0.0.1", "10.0.0.2"} {
		r := newResponder(Announcement{Serial: serial, Port: 4129}, func() time.Duration { return 120 * time.Millisecond })
		r.setAddresses(start.Add(-time.Hour), "eth0", addressesOf(address))
		for range announceAfter {
			r.send(start.Add(-time.Hour + time.Minute))
		}
		boards[r] = address
	}
	begun := start
	for r, address := range boards {
		if address == "10.0.0.2" {
			r.receive(begun.Add(-120*time.Millisecond), "eth0", netip.MustParseAddrPort("10.0.0.9:5353"), asked)
			if len(r.send(begun)) != 1 { // just before this main board looks
				t.Fatal("the second board has not responded to somebody else")
			}
		}
		r.receive(begun, "eth0", netip.MustParseAddrPort("10.0.0.3:5353"), asked)
	}
	for now := begun; now.Before(begun.Add(3 * time.Second)); now = now.Add(10 * time.Millisecond) {
		for r, address := range boards {
			for _, p := range r.send(now) {
				m, err := parse(p.data)
				if err != nil {
					t.Fatal(err)
				}
				c.add(now, "eth0", netip.MustParseAddr(address), m.records)
			}
		}
		c.advance(now)
		if found := c.locate(now, serial); found.Err() == nil && found.Settled {
			t.Fatalf("after %v the only board is the one at %v", now.Sub(begun), found.Boards[0].Addresses)
		}
	}
	if found := c.locate(begun.Add(3*time.Second), serial); len(found.Boards) != 2 {
		t.Errorf("%d boards", len(found.Boards))
	}
}
