package discovery

import (
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

func FuzzParse(f *testing.F) {
	question, err := packQuery()
	if err != nil {
		f.Fatal(err)
	}
	v := newAnnouncer(f, serial, "eth0", "10.0.0.1 fe80::1")
	answer, err := packResponse(0, nil, v.records(v.addresses, timeToLive, true))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(question)
	f.Add(answer)
	f.Add(answer[:len(answer)-3])
	f.Add(pointersToALongName())
	f.Fuzz(func(t *testing.T, packet []byte) {
		packet = packet[:min(len(packet), maxPacket)]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := parse(packet)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64<<10+64*len(packet)) {
			t.Errorf("a packet of %d bytes costs %d bytes of memory", len(packet), used)
		}
		if len(m.records) > maxRecords {
			t.Errorf("%d records", len(m.records))
		}
		b := newCache("", false)
		b.add(start, "eth0", netip.Addr{}, m.records)
		for _, verified := range []bool{false, true} {
			c := newCache(serial, verified)
			for i := range 3 {
				c.add(start.Add(time.Duration(i)*time.Second), "eth0", netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 2)}), m.records)
			}
			for _, board := range c.all(start.Add(2 * time.Second)) {
				if board.Serial != serial {
					t.Errorf("kept %+v", board)
				}
			}
			for _, s := range c.sources {
				if len(s.instances) > s.maxInstances || len(s.hosts) > len(s.instances) {
					t.Errorf("%d instances and %d hosts of one source are kept", len(s.instances), len(s.hosts))
				}
			}
		}
		for _, board := range b.all(start) {
			if identity.CheckSerial(board.Serial) != nil || len(board.Addresses) == 0 || board.Port < 1 || board.Port > 65535 {
				t.Errorf("found %+v", board)
			}
		}
		now := newAnnouncer(t, serial, "eth0", "10.0.0.1")
		now.setAddresses(start, "eth0", now.addresses)
		now.receive(start, "eth0", netip.MustParseAddrPort("10.0.0.2:5353"), m)
		for _, p := range now.receive(start, "eth0", netip.MustParseAddrPort("10.0.0.2:5000"), m) {
			if _, err := parse(p.data); err != nil {
				t.Errorf("answered what cannot be read: %v", err)
			}
		}
		escaped := slices.ContainsFunc(m.records, func(r record) bool { return strings.Contains(r.name+r.target, `\`) })
		if err != nil || !m.response || escaped {
			return // the builder writes no dots within labels
		}
		again, err := packResponse(m.id, nil, m.records)
		if err != nil {
			return // the parser takes longer names than the builder
		}
		if read, err := parse(again); err != nil || !slices.EqualFunc(read.records, m.records, func(a, b record) bool {
			return a.name == b.name && a.kind == b.kind && a.ttl == b.ttl && a.target == b.target && a.port == b.port && a.address == b.address && slices.Equal(a.text, b.text)
		}) {
			t.Errorf("%+v became %+v, %v", m.records, read.records, err)
		}
	})
}

func TestNamesInPackets(t *testing.T) {
	packet := []byte("\x03ABC\x05local\x00" + "\x05a.b\\c\xc0\x04" + "\x40" + "\x05loca")
	r := packetReader{packet: packet}
	for _, want := range []string{"abc.local.", `a\.b\\c.local.`} {
		if got, err := r.name(); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	for at, want := range map[int]error{len(packet) - 6: errName, len(packet) - 5: errShort, len(packet): errShort} {
		r := packetReader{packet, at}
		if got, err := r.name(); err != want {
			t.Errorf("at %d: %q, %v, want %v", at, got, err, want)
		}
	}
	loop := packetReader{packet: []byte("\xc0\x00")}
	if got, err := loop.name(); err != errName {
		t.Errorf("a name that points to itself: %q, %v", got, err)
	}
	long := packetReader{packet: []byte(strings.Repeat("\x3f"+strings.Repeat("x", 63), 4) + "\x00")}
	if got, err := long.name(); err != errName {
		t.Errorf("a name of 257 bytes: %d, %v", len(got), err)
	}
	root := packetReader{packet: []byte{0}}
	if got, err := root.name(); err != nil || got != "." {
		t.Errorf("the root: %q, %v", got, err)
	}
}

// pointersToALongName is a response whose records have nothing but pointers to one
// name of the greatest length.
func pointersToALongName() []byte {
	packet := []byte{0, 0, 0x84, 0, 0, 0, 1, 0, 0, 0, 0, 0}
	for range 3 {
		packet = append(append(packet, 63), strings.Repeat("x", 63)...)
	}
	packet = append(append(packet, 60), strings.Repeat("x", 60)...)
	packet = append(packet, 0)
	record := []byte{0xc0, 12, 0, byte(dnsmessage.TypePTR), 0, 1, 0, 0, 0, 120, 0, 2, 0xc0, 12}
	packet = append(packet, record[2:]...)
	for range 255 {
		packet = append(packet, record...)
	}
	return packet
}

func TestPacketsThatAreIgnored(t *testing.T) {
	for name, header := range map[string]dnsmessage.Header{
		"opcode":        {OpCode: 2},
		"response code": {Response: true, RCode: dnsmessage.RCodeNameError},
	} {
		builder := dnsmessage.NewBuilder(nil, header)
		packet, err := builder.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if m, err := parse(packet); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if m, err := parse([]byte("short")); err == nil {
		t.Errorf("no packet: %+v", m)
	}
}

func TestInterfaceLists(t *testing.T) {
	for list, want := range map[string][]string{"": nil, "  ": nil, "eth0": {"eth0"}, "eth0, wlan0 ,eth0": {"eth0", "wlan0"}} {
		if got, err := ParseInterfaces(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{",", "eth0,", "a b", "eth0:1", "../eth0", "averylonginterfacename"} {
		if got, err := ParseInterfaces(list); err == nil {
			t.Errorf("%q: %v", list, got)
		}
	}
}
