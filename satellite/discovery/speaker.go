package discovery

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// When an announcement is sent after a change (RFC 6762 section 8.3: at least
// twice, a second apart), and how far apart answers are (section 6).
var bursts = []time.Duration{0, time.Second, 3 * time.Second}

const (
	answerDistance = time.Second
	// legacyDistance bounds the answers to conventional resolvers.
	legacyDistance = 100 * time.Millisecond
	// legacyTTL is what they may keep an answer (RFC 6762 section 6.7).
	legacyTTL = 10 * time.Second
)

// outgoing is a packet to send on an interface: to the multicast group unless an
// address is given.
type outgoing struct {
	network string
	to      netip.AddrPort
	packet  []byte
}

// speaker decides what an announcing board sends. It has no clock and no socket,
// and is not safe for concurrent use.
type speaker struct {
	instance, host string
	port           int
	text           []string
	links          map[string]*speakerLink
	// jitter returns how long an answer waits, so that many do not collide.
	jitter func() time.Duration
}

// speakerLink is one interface.
type speakerLink struct {
	addresses []netip.Addr
	// withdrawn are those that went away and are to be taken back.
	withdrawn []netip.Addr
	// changed is when the addresses did, burst counts what was sent of bursts since.
	changed time.Time
	burst   int
	// asked: answer at due.
	asked bool
	due   time.Time
	// last is when the group was told, lastLegacy when a resolver was.
	last, lastLegacy time.Time
}

// newSpeaker draws the id by which this process is told from others, which is
// also what makes its names unique: they need not be probed for.
func newSpeaker(a Announcement, jitter func() time.Duration) *speaker {
	var drawn [8]byte
	rand.Read(drawn[:]) // it never fails
	id := hex.EncodeToString(drawn[:])
	label := strings.Map(func(r rune) rune {
		if r == '.' { // would end the label
			return '-'
		}
		return r
	}, a.Serial)
	text := []string{"txtvers=1", "serial=" + a.Serial, "id=" + id}
	for _, field := range [][2]string{{"module", a.ModuleID}, {"version", a.Version}, {"dialects", strings.Join(a.Dialects, ",")}} {
		if field[1] != "" {
			text = append(text, field[0]+"="+field[1][:min(len(field[1]), mostText)])
		}
	}
	return &speaker{
		instance: label[:min(len(label), 40)] + " " + id[:8] + "." + serviceName,
		host:     "evsatellite-" + id + ".local.",
		port:     a.Port, text: text, jitter: jitter, links: map[string]*speakerLink{},
	}
}

// change says which addresses the board has on an interface: none while it is
// down or gone.
func (s *speaker) change(now time.Time, network string, addresses []netip.Addr) {
	link := s.links[network]
	if link == nil {
		link = &speakerLink{burst: len(bursts)}
		s.links[network] = link
	}
	if slices.Equal(link.addresses, addresses) {
		return
	}
	for _, address := range link.addresses {
		if !slices.Contains(addresses, address) && !slices.Contains(link.withdrawn, address) {
			link.withdrawn = append(link.withdrawn, address)
		}
	}
	link.withdrawn = slices.DeleteFunc(link.withdrawn, func(address netip.Addr) bool { return slices.Contains(addresses, address) })
	link.addresses = slices.Clone(addresses)
	link.changed, link.burst = now, 0
}

// hear takes a query and returns what is to be sent at once.
func (s *speaker) hear(now time.Time, network string, from netip.AddrPort, m message) []outgoing {
	link := s.links[network]
	if link == nil || len(link.addresses) == 0 || m.response || !s.wanted(m) {
		return nil
	}
	if from.Port() != groupPort {
		if now.Sub(link.lastLegacy) < legacyDistance {
			return nil
		}
		link.lastLegacy = now
		// It wants its question back.
		asked := slices.DeleteFunc(slices.Clone(m.questions), func(q question) bool { return !s.wanted(message{questions: []question{q}}) })
		return s.pack(network, from, m.id, asked, s.records(link.addresses, legacyTTL, false))
	}
	if !link.asked {
		link.asked, link.due = true, now.Add(s.jitter())
		if earliest := link.last.Add(answerDistance); link.due.Before(earliest) {
			link.due = earliest
		}
	}
	return nil
}

// wanted tells whether a query asks for something of this board that it does not
// know already (RFC 6762 section 7.1).
func (s *speaker) wanted(m message) bool {
	for _, q := range m.questions {
		var kinds []dnsmessage.Type
		switch q.name {
		case serviceName, metaName:
			kinds = []dnsmessage.Type{dnsmessage.TypePTR}
		case strings.ToLower(s.instance):
			kinds = []dnsmessage.Type{dnsmessage.TypeSRV, dnsmessage.TypeTXT}
		case s.host:
			kinds = []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
		}
		if len(kinds) == 0 || q.kind != dnsmessage.TypeALL && !slices.Contains(kinds, q.kind) {
			continue
		}
		known := slices.ContainsFunc(m.records, func(r record) bool {
			return q.name == serviceName && r.kind == dnsmessage.TypePTR && r.name == serviceName &&
				r.target == strings.ToLower(s.instance) && r.ttl >= timeToLive/2
		})
		if !known {
			return true
		}
	}
	return false
}

// send returns what is due.
func (s *speaker) send(now time.Time) []outgoing {
	var packets []outgoing
	for network, link := range s.links {
		due, any := link.next()
		if !any || due.After(now) {
			continue
		}
		if link.burst < len(bursts) && !link.changed.Add(bursts[link.burst]).After(now) {
			link.burst++
		}
		link.asked = false
		var records []record
		if len(link.addresses) > 0 {
			link.last = now
			records = s.records(link.addresses, timeToLive, true)
		}
		for _, address := range link.withdrawn {
			records = append(records, s.addressRecord(address, 0, false))
		}
		if link.burst == len(bursts) {
			link.withdrawn = nil
		}
		packets = append(packets, s.pack(network, netip.AddrPort{}, 0, nil, records)...)
	}
	return packets
}

// goodbye takes everything back.
func (s *speaker) goodbye() []outgoing {
	var packets []outgoing
	for network, link := range s.links {
		if len(link.addresses) > 0 {
			packets = append(packets, s.pack(network, netip.AddrPort{}, 0, nil, s.records(link.addresses, 0, true))...)
		}
	}
	return packets
}

// next returns when the next packet is due; false is never.
func (s *speaker) next() (time.Time, bool) {
	var next time.Time
	for _, link := range s.links {
		if due, any := link.next(); any && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return next, !next.IsZero()
}

func (l *speakerLink) next() (time.Time, bool) {
	var next time.Time
	if l.burst < len(bursts) {
		next = l.changed.Add(bursts[l.burst])
	}
	if l.asked && (next.IsZero() || l.due.Before(next)) {
		next = l.due
	}
	return next, !next.IsZero()
}

// records says everything: what asks for one of them will want the others. The
// first is shared with other boards, so it must not flush them.
func (s *speaker) records(addresses []netip.Addr, ttl time.Duration, flush bool) []record {
	records := []record{
		{name: serviceName, kind: dnsmessage.TypePTR, ttl: ttl, target: s.instance},
		{name: s.instance, kind: dnsmessage.TypeSRV, ttl: ttl, flush: flush, target: s.host, port: s.port},
		{name: s.instance, kind: dnsmessage.TypeTXT, ttl: ttl, flush: flush, text: s.text},
	}
	for _, address := range addresses {
		records = append(records, s.addressRecord(address, ttl, flush))
	}
	if ttl > 0 { // what other boards offer too is not to be taken back
		records = append(records, record{name: metaName, kind: dnsmessage.TypePTR, ttl: ttl, target: serviceName})
	}
	return records
}

func (s *speaker) addressRecord(address netip.Addr, ttl time.Duration, flush bool) record {
	kind := dnsmessage.TypeAAAA
	if address.Is4() {
		kind = dnsmessage.TypeA
	}
	return record{name: s.host, kind: kind, ttl: ttl, flush: flush, address: address}
}

// pack writes a packet; one that cannot be written is left out, which [Announce]
// has ruled out.
func (s *speaker) pack(network string, to netip.AddrPort, id uint16, questions []question, records []record) []outgoing {
	packet, err := packResponse(id, questions, records)
	if err != nil || len(records) == 0 {
		return nil
	}
	return []outgoing{{network, to, packet}}
}
