package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"pgregory.net/rapid"
)

// start is when tests begin.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func addressesOf(list string) []netip.Addr {
	var addresses []netip.Addr
	for text := range strings.FieldsSeq(list) {
		addresses = append(addresses, netip.MustParseAddr(text))
	}
	return addresses
}

// announcer is a board whose announcements a test puts into a cache.
type announcer struct {
	*responder
	iface     string
	addresses []netip.Addr
}

func newAnnouncer(t testing.TB, number, iface, addresses string) *announcer {
	t.Helper()
	a := Announcement{Serial: number, ModuleID: "agent", Version: "1", Dialects: []string{"v2"}, Port: 4129, Interfaces: []string{"eth0"}}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	return &announcer{newResponder(a, func() time.Duration { return 0 }), iface, addressesOf(addresses)}
}

// id is what tells the board from others.
func (v *announcer) id() string { return strings.TrimPrefix(v.text[2], "id=") }

// say puts what the board announces into a cache, through a packet.
func (v *announcer) say(t testing.TB, b *cache, now time.Time, ttl time.Duration) {
	t.Helper()
	packet, err := packResponse(0, nil, v.records(v.addresses, ttl, true))
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(packet)
	if err != nil || !m.response {
		t.Fatalf("%+v: %v", m, err)
	}
	b.add(now, v.iface, netip.Addr{}, m.records)
}

// What a stranger has filled the cache with must not keep boards out for a lifetime
// after it has gone.
func TestNothingIsTrueForEver(t *testing.T) {
	b := newCache("", false)
	stranger := newAnnouncer(t, "STRANGER", "eth0", "10.0.0.9")
	for i := range maxInstances {
		stranger.instance = fmt.Sprintf("stranger %d.%s", i, serviceName)
		stranger.say(t, b, start, (1<<32-1)*time.Second)
	}
	later := start.Add(2 * time.Hour)
	b.advance(later)
	newAnnouncer(t, "ABC123", "eth0", "10.0.0.1").say(t, b, later, timeToLive)
	if location := b.locate(later, "ABC123"); len(location.Boards) != 1 {
		t.Errorf("%d boards, want the one that is there", len(location.Boards))
	}
}

func describe(l Location) string {
	var boards []string
	for _, board := range l.Boards {
		boards = append(boards, fmt.Sprint(board.Addresses, board.Interfaces))
	}
	return strings.Join(boards, " ")
}

func TestCache(t *testing.T) {
	type step struct {
		after time.Duration
		do    string // which announcer says or takes back what, at which addresses
		want  string
	}
	for name, steps := range map[string][]step{
		"found, and gone with its time": {
			{0, "a says 10.0.0.1 fe80::1", "[10.0.0.1 fe80::1%eth0] [eth0]"},
			{119 * time.Second, "", "[10.0.0.1 fe80::1%eth0] [eth0]"},
			{time.Second, "", ""},
		},
		"heard again, so it stays": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{100 * time.Second, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{100 * time.Second, "", "[10.0.0.1] [eth0]"},
		},
		"good-bye": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{time.Second, "a ends 10.0.0.1", ""},
		},
		"another address replaces one that is older than a second": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{2 * time.Second, "a says 10.0.0.2", "[10.0.0.2] [eth0]"},
			{500 * time.Millisecond, "a says 10.0.0.3", "[10.0.0.2 10.0.0.3] [eth0]"},
			{2 * time.Second, "a says 10.0.0.3", "[10.0.0.3] [eth0]"},
		},
		"the versions of IP do not replace each other": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{2 * time.Second, "a says fd00::1 fe80::1", "[10.0.0.1 fd00::1 fe80::1%eth0] [eth0]"},
			{2 * time.Second, "a says fd00::2", "[10.0.0.1 fd00::2] [eth0]"},
		},
		"two interfaces of one board, each with addresses of its own": {
			{0, "a says 10.0.0.1 fe80::1", "[10.0.0.1 fe80::1%eth0] [eth0]"},
			{0, "a/eth1 says 10.0.1.1 fe80::1", "[10.0.0.1 10.0.1.1 fe80::1%eth0 fe80::1%eth1] [eth0 eth1]"},
			{2 * time.Second, "a/eth1 ends 10.0.1.1", "[10.0.0.1 fe80::1%eth0] [eth0]"},
			{0, "forget eth0", ""},
		},
		"two boards, on one link and on two": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{0, "b says 10.0.0.2", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{0, "c/eth1 says 10.0.0.1", "[10.0.0.1] [eth0] [10.0.0.1] [eth1] [10.0.0.2] [eth0]"},
		},
		"a board that does not answer in a conflict is dropped": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{20 * time.Second, "b says 10.0.0.2", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{time.Second, "b says 10.0.0.2", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{3 * time.Second, "", "[10.0.0.2] [eth0]"},
		},
		"boards that answer stay, until one does not any more": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{20 * time.Second, "b says 10.0.0.2", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{time.Second, "a says 10.0.0.1", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{3 * time.Second, "", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{6 * time.Second, "", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"}, // asked again
			{time.Second, "b says 10.0.0.2", "[10.0.0.1] [eth0] [10.0.0.2] [eth0]"},
			{3 * time.Second, "", "[10.0.0.2] [eth0]"},
		},
		"a successor at the same address replaces at once": {
			{0, "a says 10.0.0.1 fe80::1", "[10.0.0.1 fe80::1%eth0] [eth0]"},
			{20 * time.Second, "b says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{20 * time.Second, "c says 10.0.0.1", "[10.0.0.1] [eth0]"},
		},
		"what was replaced and speaks again is another board": {
			{0, "a says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{20 * time.Second, "b says 10.0.0.1", "[10.0.0.1] [eth0]"},
			{time.Second, "a says 10.0.0.1", "[10.0.0.1] [eth0] [10.0.0.1] [eth0]"},
			{time.Second, "b says 10.0.0.1", "[10.0.0.1] [eth0] [10.0.0.1] [eth0]"},
			{4 * time.Second, "", "[10.0.0.1] [eth0] [10.0.0.1] [eth0]"},
		},
		"addresses at which nobody's board can be": {
			{0, "a says 127.0.0.1 ::1 0.0.0.0 224.0.0.1 ff02::1 ::ffff:10.0.0.1", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, now, announcers := newCache("", false), start, map[string]*announcer{}
			for i, s := range steps {
				now = now.Add(s.after)
				b.advance(now)
				who, what, _ := strings.Cut(s.do, " ")
				who, iface, _ := strings.Cut(who, "/")
				what, addresses, _ := strings.Cut(what, " ")
				v := announcers[who]
				if v == nil {
					v = newAnnouncer(t, serial, "", "")
					// Boards are sorted by id: in the order of the names here.
					v.text[2] = "id=" + who
					announcers[who] = v
				}
				v.iface, v.addresses = "eth0", addressesOf(addresses)
				if iface != "" {
					v.iface = iface
				}
				switch what {
				case "says":
					v.say(t, b, now, timeToLive)
				case "ends":
					v.say(t, b, now, 0)
				case "eth0": // forget
					b.removeInterface(now, "eth0")
				}
				got := sortedWords(describe(b.locate(now, serial)))
				if want := sortedWords(s.want); got != want {
					t.Fatalf("step %d, %s: %s, want %s", i, s.do, got, want)
				}
				if other := b.locate(now, "OTHER"); other.Err() == nil {
					t.Errorf("step %d: another serial number is found: %+v", i, other)
				}
			}
		})
	}
}

func sortedWords(text string) string {
	words := strings.Split(strings.Trim(text, "[]"), "] [")
	slices.Sort(words)
	return strings.Join(words, "|")
}

func TestABoardIsSettledWhenOthersCouldHaveAnswered(t *testing.T) {
	b := newCache("", false)
	one := newAnnouncer(t, serial, "eth0", "10.0.0.1")
	one.say(t, b, start, timeToLive)
	if b.locate(start.Add(responseTime-1), serial).Settled {
		t.Error("settled too early")
	}
	if due, any := b.next(start); !any || due != start.Add(responseTime) {
		t.Errorf("next at %v, want when it is settled", due)
	}
	if !b.locate(start.Add(responseTime), serial).Settled {
		t.Error("not settled in time")
	}
	one.say(t, b, start.Add(time.Minute), timeToLive)
	if !b.locate(start.Add(time.Minute), serial).Settled {
		t.Error("a board that is heard again is not new")
	}
	if since := b.lastQuestion(); since != start {
		t.Errorf("asking since %v", since)
	}
}

// Whatever boards do, if those that are alive answer when they are asked, then
// after a few seconds the cache knows how many there are.
func TestCacheKnowsWhoIsAlive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tb := t // rapid's T is no testing.TB
		b, now := newCache("", false), start
		var alive []*announcer
		free := addressesOf("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6")
		say := func(v *announcer, ttl time.Duration) {
			packet, err := packResponse(0, nil, v.records(v.addresses, ttl, true))
			if err != nil {
				tb.Fatal(err)
			}
			m, err := parse(packet)
			if err != nil {
				tb.Fatal(err)
			}
			b.add(now, v.iface, netip.Addr{}, m.records)
		}
		take := func() netip.Addr {
			at := rapid.IntRange(0, len(free)-1).Draw(t, "address")
			address := free[at]
			free = slices.Delete(free, at, at+1)
			return address
		}
		pick := func() int { return rapid.IntRange(0, len(alive)-1).Draw(t, "board") }
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch action := rapid.SampledFrom([]string{"start", "start", "stop", "kill", "renumber", "wait"}).Draw(t, "action"); {
			case action == "start" && len(alive) < 3:
				v := &announcer{newResponder(Announcement{Serial: serial, Port: 1}, nil), rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "interface"), nil}
				v.addresses = []netip.Addr{take()}
				alive = append(alive, v)
				say(v, timeToLive)
			case (action == "stop" || action == "kill") && len(alive) > 0:
				at := pick()
				if action == "stop" {
					say(alive[at], 0)
				}
				free = append(free, alive[at].addresses...)
				alive = slices.Delete(alive, at, at+1)
			case action == "renumber" && len(alive) > 0:
				v := alive[pick()]
				free = append(free, v.addresses...)
				v.addresses = []netip.Addr{take()}
				say(v, timeToLive)
			case action == "wait":
				now = now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "seconds")) * time.Second)
			}
			// Two that speak are never taken for one, not even for a moment.
			for range 2 * (int(roundInterval/time.Second) + int(roundTime/time.Second)) {
				now = now.Add(time.Second)
				b.advance(now)
				for _, v := range alive {
					say(v, timeToLive)
				}
				if len(alive) > 1 && b.locate(now, serial).Err() == nil {
					t.Fatalf("%d boards speak, and one is chosen: %s", len(alive), describe(b.locate(now, serial)))
				}
			}
			location := b.locate(now, serial)
			switch {
			case len(alive) > 0 && len(location.Boards) != len(alive):
				t.Fatalf("%d boards speak, %d are known: %s", len(alive), len(location.Boards), describe(location))
			case len(alive) > 0 && !location.Settled:
				t.Fatalf("not settled: %s", describe(location))
			case len(alive) == 1 && !slices.Equal(location.Boards[0].Addresses, alive[0].addresses):
				t.Fatalf("the board is at %v, found at %v", alive[0].addresses, location.Boards[0].Addresses)
			}
		}
		now = now.Add(timeToLive + time.Second)
		b.advance(now)
		if location := b.locate(now, serial); len(location.Boards) != 0 {
			t.Fatalf("nobody has spoken for long, and yet: %s", describe(location))
		}
		if due, any := b.next(now); any {
			t.Fatalf("nothing is left, but something is due at %v", due)
		}
	})
}

// What a flood leaves behind is bounded, and known boards stay known.
func TestCacheIsBounded(t *testing.T) {
	b := newCache("", false)
	one := newAnnouncer(t, serial, "eth0", "10.0.0.1")
	one.say(t, b, start, timeToLive)
	for i := range 2000 {
		other := newAnnouncer(t, fmt.Sprint("S", i), "eth0", fmt.Sprintf("10.1.%d.%d", i/250, i%250+1))
		other.say(t, b, start, timeToLive)
		one.addresses = append(one.addresses, netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}))
		if i%100 == 0 {
			one.say(t, b, start, timeToLive)
		}
	}
	p := b.sources[source{iface: "eth0"}]
	if len(p.instances) > maxInstances || len(p.hosts) > maxInstances {
		t.Errorf("%d announcements and %d hosts are kept", len(p.instances), len(p.hosts))
	}
	if found := b.locate(start, serial); found.Err() != nil || len(found.Boards[0].Addresses) > maxAddresses {
		t.Errorf("the board that was known is %v at %d addresses", found.Err(), len(found.Boards[0].Addresses))
	}
}

// A board that another program announces has no id, and may come in pieces.
func TestAnnouncementOfAnotherProgram(t *testing.T) {
	b := newCache("", false)
	instance, host := "workshop board."+serviceName, "board-7.local."
	records := []record{
		{name: serviceName, kind: dnsmessage.TypePTR, ttl: time.Hour, target: instance},
		{name: instance, kind: dnsmessage.TypeTXT, ttl: time.Hour, text: []string{"Serial=ABC123", "serial=second", "version=evil\x1b[2J", "=", "flag"}},
		{name: instance, kind: dnsmessage.TypeSRV, ttl: 2 * time.Minute, target: host, port: 4129},
		{name: host, kind: dnsmessage.TypeA, ttl: 2 * time.Minute, address: netip.MustParseAddr("10.0.0.9")},
	}
	for i, r := range records {
		if i < 3 && b.locate(start, serial).Err() == nil {
			t.Errorf("found with %d of its records", i)
		}
		b.add(start, "eth0", netip.Addr{}, []record{r})
	}
	found := b.locate(start, serial)
	if found.Err() != nil {
		t.Fatal(found.Err())
	}
	if board := found.Boards[0]; board.ID != host || board.Host != "board-7.local" || strings.Contains(board.Version, "\x1b") || board.ModuleID != "" {
		t.Errorf("found %+v", board)
	}
	for _, field := range []string{"serial=", "serial=a b", "serial=" + strings.Repeat("x", 70), "serial"} {
		b := newCache("", false)
		records[1].text = []string{field}
		b.add(start, "eth0", netip.Addr{}, records)
		if all := b.all(start); len(all) != 0 {
			t.Errorf("%q is taken for a serial number: %+v", field, all)
		}
	}
}
