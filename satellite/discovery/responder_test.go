package discovery

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var groupPeer = netip.MustParseAddrPort("10.0.0.100:5353")

// sent reads a packet that is about to be sent.
func sent(t *testing.T, p outgoing) message {
	t.Helper()
	m, err := parse(p.data)
	if err != nil || !m.response {
		t.Fatalf("%+v: %v", m, err)
	}
	return m
}

func query(t *testing.T, name string, kind dnsmessage.Type) message {
	t.Helper()
	packet, err := packResponse(7, []question{{name, kind}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(packet)
	if err != nil {
		t.Fatal(err)
	}
	m.response = false
	return m
}

// run collects what is sent until a time, and when.
func (s *responder) run(t *testing.T, now, until time.Time) (times []time.Duration, packets []outgoing) {
	t.Helper()
	for {
		due, any := s.next()
		if !any || due.After(until) {
			return times, packets
		}
		if due.Before(now) {
			due = now
		}
		for _, p := range s.send(due) {
			times, packets = append(times, due.Sub(now)), append(packets, p)
		}
	}
}

func TestAnnouncementsAfterAChange(t *testing.T) {
	v := newAnnouncer(t, serial, "eth0", "")
	v.setAddresses(start, "eth0", nil)
	if due, any := v.next(); any {
		t.Errorf("without an address something is due at %v", due)
	}
	v.setAddresses(start, "eth0", addressesOf("10.0.0.1 fe80::1"))
	times, packets := v.run(t, start, start.Add(time.Hour))
	if len(times) != 3 || times[0] != 0 || times[1] != time.Second || times[2] != 3*time.Second {
		t.Errorf("sent at %v, want at 0, 1 and 3 s", times)
	}
	b := newCache("", false)
	b.add(start, "eth0", netip.Addr{}, sent(t, packets[0]).records)
	if found := b.locate(start, serial); describe(found) != "[10.0.0.1 fe80::1%eth0] [eth0]" {
		t.Errorf("announced %s", describe(found))
	}
	later := start.Add(time.Minute)
	v.setAddresses(later, "eth0", addressesOf("10.0.0.2 fe80::1"))
	_, packets = v.run(t, later, later.Add(time.Hour))
	if len(packets) != 3 {
		t.Fatalf("%d packets after a change", len(packets))
	}
	// Also who still has the old address for fresh drops it.
	b = newCache("", false)
	v.addresses = addressesOf("10.0.0.1")
	v.say(t, b, later, timeToLive)
	b.add(later.Add(100*time.Millisecond), "eth0", netip.Addr{}, sent(t, packets[0]).records)
	if found := b.locate(later, serial); describe(found) != "[10.0.0.2 fe80::1%eth0] [eth0]" {
		t.Errorf("after the change %s", describe(found))
	}
	v.setAddresses(later, "eth0", addressesOf("10.0.0.2 fe80::1"))
	if due, any := v.next(); any {
		t.Errorf("no change, but something is due at %v", due)
	}
	for _, p := range v.goodbye() {
		b.add(later.Add(time.Second), p.iface, netip.Addr{}, sent(t, p).records)
	}
	if found := b.locate(later, serial); len(found.Boards) != 0 {
		t.Errorf("after the good-bye %s", describe(found))
	}
}

func TestAnswers(t *testing.T) {
	v := newAnnouncer(t, serial, "eth0", "")
	v.setAddresses(start, "eth0", addressesOf("10.0.0.1"))
	v.setAddresses(start, "eth1", addressesOf("10.0.1.1"))
	v.run(t, start, start.Add(time.Minute))
	now := start.Add(time.Minute)
	known := query(t, serviceName, dnsmessage.TypePTR)
	known.records = []record{{name: serviceName, kind: dnsmessage.TypePTR, target: strings.ToLower(v.instance), ttl: timeToLive}}
	old := query(t, serviceName, dnsmessage.TypePTR)
	old.records = []record{{name: serviceName, kind: dnsmessage.TypePTR, target: strings.ToLower(v.instance), ttl: time.Second}}
	for name, test := range map[string]struct {
		m        message
		answered bool
	}{
		"service":              {query(t, serviceName, dnsmessage.TypePTR), true},
		"capitals":             {query(t, strings.ToUpper(serviceName), dnsmessage.TypePTR), true},
		"any of the service":   {query(t, serviceName, dnsmessage.TypeALL), true},
		"all services":         {query(t, metaName, dnsmessage.TypePTR), true},
		"instance":             {query(t, v.instance, dnsmessage.TypeSRV), true},
		"text":                 {query(t, v.instance, dnsmessage.TypeTXT), true},
		"host":                 {query(t, v.host, dnsmessage.TypeA), true},
		"address of version 6": {query(t, v.host, dnsmessage.TypeAAAA), true},
		"another service":      {query(t, "_http._tcp.local.", dnsmessage.TypePTR), false},
		"address of service":   {query(t, serviceName, dnsmessage.TypeA), false},
		"another host":         {query(t, "other.local.", dnsmessage.TypeA), false},
		"known":                {known, false},
		"known, but long ago":  {old, true},
		"a response":           {message{response: true, questions: []question{{serviceName, dnsmessage.TypePTR}}}, false},
		"nothing":              {message{}, false},
	} {
		now = now.Add(time.Minute)
		if out := v.receive(now, "eth0", groupPeer, test.m); len(out) != 0 {
			t.Errorf("%s: answered at once", name)
		}
		_, packets := v.run(t, now, now.Add(time.Second))
		if got := len(packets) == 1; got != test.answered {
			t.Errorf("%s: %d answers", name, len(packets))
		}
		for _, p := range packets {
			if p.iface != "eth0" || p.to.IsValid() || len(sent(t, p).questions) != 0 {
				t.Errorf("%s: answered on %s to %v", name, p.iface, p.to)
			}
		}
	}
	if out := v.receive(now, "eth7", groupPeer, query(t, serviceName, dnsmessage.TypePTR)); out != nil || len(v.send(now)) != 0 {
		t.Error("answered on an interface that is not announced on")
	}
}

// A storm of questions is answered once a second.
func TestAnswersAreRare(t *testing.T) {
	v := newAnnouncer(t, serial, "eth0", "")
	v.setAddresses(start, "eth0", addressesOf("10.0.0.1"))
	v.run(t, start, start.Add(time.Minute))
	begin := start.Add(time.Minute)
	answers, legacy := 0, 0
	for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
		v.receive(begin.Add(at), "eth0", groupPeer, query(t, serviceName, dnsmessage.TypePTR))
		answers += len(v.send(begin.Add(at)))
		legacy += len(v.receive(begin.Add(at), "eth0", netip.MustParseAddrPort("10.0.0.7:40000"), query(t, serviceName, dnsmessage.TypePTR)))
	}
	if answers < 9 || answers > 11 || legacy < 90 || legacy > 101 {
		t.Errorf("%d answers to the group and %d to a resolver in 10 s", answers, legacy)
	}
}

// A conventional resolver gets its question back, and nothing to keep.
func TestAnswerToAResolver(t *testing.T) {
	v := newAnnouncer(t, serial, "eth0", "")
	v.setAddresses(start, "eth0", addressesOf("10.0.0.1"))
	resolver := netip.MustParseAddrPort("10.0.0.7:40000")
	out := v.receive(start, "eth0", resolver, query(t, serviceName, dnsmessage.TypePTR))
	if len(out) != 1 || out[0].to != resolver {
		t.Fatalf("answered %v", out)
	}
	m := sent(t, out[0])
	if m.id != 7 || len(m.questions) != 1 {
		t.Errorf("answered with id %d and questions %v", m.id, m.questions)
	}
	for _, r := range m.records {
		if r.ttl > legacyTTL || r.flush {
			t.Errorf("record %+v", r)
		}
	}
}

func TestNamesOfAnnouncements(t *testing.T) {
	for _, number := range []string{"A", "a.b_c-d", strings.Repeat("x", 64), strings.Repeat("1.", 32)} {
		v := newAnnouncer(t, number, "eth0", "10.0.0.1")
		b := newCache("", false)
		v.say(t, b, start, timeToLive)
		if found := b.locate(start, number); found.Err() != nil || found.Boards[0].ID != v.id() {
			t.Errorf("%s: %v", number, found.Err())
		}
		if label, _, _ := strings.Cut(v.instance, "."); len(label) > 63 {
			t.Errorf("%s: the label %q is too long", number, label)
		}
	}
	a, b := newAnnouncer(t, serial, "eth0", ""), newAnnouncer(t, serial, "eth0", "")
	if a.host == b.host || a.instance == b.instance || a.id() == b.id() {
		t.Error("two processes have the same names")
	}
}

func TestAnnouncementsThatAreNotValid(t *testing.T) {
	valid := Announcement{Serial: serial, Port: 4129, Interfaces: []string{"eth0"}}
	if err := valid.Check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*Announcement){
		"is empty":           func(a *Announcement) { a.Serial = "" },
		"has the character":  func(a *Announcement) { a.Serial = "a b" },
		"more than 64":       func(a *Announcement) { a.Serial = strings.Repeat("a", 65) },
		"port 0":             func(a *Announcement) { a.Port = 0 },
		"port 70000":         func(a *Announcement) { a.Port = 70000 },
		"no interface":       func(a *Announcement) { a.Interfaces = nil },
		"cannot be the name": func(a *Announcement) { a.Interfaces = []string{"eth0", "a/b"} },
		"cannot be reached":  func(a *Announcement) { a.Address = netip.MustParseAddr("127.0.0.1") },
	} {
		a := valid
		change(&a)
		if err := Announce(t.Context(), a); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want an error that says %q", a, err, says)
		}
	}
}
