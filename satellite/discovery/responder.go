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

// announceAfter is when an announcement is sent after a change: at least twice, a second apart (RFC 6762 section 8.3).
var announceAfter = []time.Duration{0, time.Second, 3 * time.Second}

const (
	// timeToLive is what RFC 6762 section 10 recommends for records that name a host.
	timeToLive = 120 * time.Second
	// minInterval is the time between two responses to the group (RFC 6762 section 6).
	minInterval = time.Second
	// minLegacyInterval is the time between two responses to conventional resolvers.
	minLegacyInterval = 100 * time.Millisecond
	// legacyTTL is how long a conventional resolver may keep a response (RFC 6762 section 6.7).
	legacyTTL = 10 * time.Second
)

// outgoing is a packet to send on an interface: to the multicast group unless an address is given.
type outgoing struct {
	iface string
	to    netip.AddrPort
	data  []byte
}

// responder decides what an announcing board sends. It has no clock and no socket, and is not safe for concurrent use.
type responder struct {
	instance, host string
	port           int
	text           []string
	interfaces     map[string]*responderInterface
	// jitter returns how long a response waits, so that those of several boards do not collide.
	jitter func() time.Duration
}

// responderInterface is what a responder keeps of one interface.
type responderInterface struct {
	addresses []netip.Addr
	// withdrawn are removed addresses, for which a goodbye is sent.
	withdrawn []netip.Addr
	// changed is when the addresses changed, announced how many announcements were sent since.
	changed   time.Time
	announced int
	// isQueried means that a response is due at responseDue.
	isQueried   bool
	responseDue time.Time
	// last is the time of the last packet to the group, lastLegacy of the last response to a resolver.
	last, lastLegacy time.Time
}

// newResponder draws a random id for this process. The id is part of the names, so they are unique and need no probing
// (RFC 6762 section 8.1).
func newResponder(a Announcement, jitter func() time.Duration) *responder {
	var drawn [8]byte
	rand.Read(drawn[:]) // it never fails
	id := hex.EncodeToString(drawn[:])
	label := strings.ReplaceAll(a.Serial, ".", "-") // a dot would end the label
	text := []string{"txtvers=1", "serial=" + a.Serial, "id=" + id}
	for _, field := range [][2]string{{"module", a.ModuleID}, {"version", a.Version}, {"dialects", strings.Join(a.Dialects, ",")}} {
		if field[1] != "" {
			text = append(text, field[0]+"="+field[1][:min(len(field[1]), maxText)])
		}
	}
	return &responder{
		instance: label[:min(len(label), 40)] + " " + id[:8] + "." + serviceName,
		host:     "evsatellite-" + id + ".local.",
		port:     a.Port, text: text, jitter: jitter, interfaces: map[string]*responderInterface{},
	}
}

// setAddresses sets the board's addresses on an interface: none while the interface is down or gone.
func (r *responder) setAddresses(now time.Time, iface string, addresses []netip.Addr) {
	state := r.interfaces[iface]
	if state == nil {
		state = &responderInterface{announced: len(announceAfter)}
		r.interfaces[iface] = state
	}
	if slices.Equal(state.addresses, addresses) {
		return
	}
	for _, address := range state.addresses {
		if !slices.Contains(addresses, address) && !slices.Contains(state.withdrawn, address) {
			state.withdrawn = append(state.withdrawn, address)
		}
	}
	state.withdrawn = slices.DeleteFunc(state.withdrawn, func(address netip.Addr) bool { return slices.Contains(addresses, address) })
	state.addresses = slices.Clone(addresses)
	state.changed, state.announced = now, 0
}

// receive handles a query and returns what is to be sent at once.
func (r *responder) receive(now time.Time, iface string, from netip.AddrPort, m message) []outgoing {
	state := r.interfaces[iface]
	if state == nil || len(state.addresses) == 0 || m.response || !r.isAsked(m) {
		return nil
	}
	if from.Port() != groupPort {
		if now.Sub(state.lastLegacy) < minLegacyInterval {
			return nil
		}
		state.lastLegacy = now
		// A conventional resolver expects its question in the response (RFC 6762 section 6.7).
		asked := slices.DeleteFunc(slices.Clone(m.questions), func(q question) bool { return !r.isAsked(message{questions: []question{q}}) })
		return r.pack(iface, from, m.id, asked, r.records(state.addresses, legacyTTL, false))
	}
	if !state.isQueried {
		state.isQueried, state.responseDue = true, now.Add(r.jitter())
		if earliest := state.last.Add(minInterval); state.responseDue.Before(earliest) {
			state.responseDue = earliest
		}
	}
	return nil
}

// isAsked reports whether a query asks for a record of this board that it does not list as known (RFC 6762 section
// 7.1).
func (r *responder) isAsked(m message) bool {
	for _, q := range m.questions {
		var kinds []dnsmessage.Type
		switch q.name {
		case serviceName, metaName:
			kinds = []dnsmessage.Type{dnsmessage.TypePTR}
		case strings.ToLower(r.instance):
			kinds = []dnsmessage.Type{dnsmessage.TypeSRV, dnsmessage.TypeTXT}
		case r.host:
			kinds = []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
		}
		if len(kinds) == 0 || q.kind != dnsmessage.TypeALL && !slices.Contains(kinds, q.kind) {
			continue
		}
		known := slices.ContainsFunc(m.records, func(known record) bool {
			return q.name == serviceName && known.kind == dnsmessage.TypePTR && known.name == serviceName &&
				known.target == strings.ToLower(r.instance) && known.ttl >= timeToLive/2
		})
		if !known {
			return true
		}
	}
	return false
}

// send returns what is due.
func (r *responder) send(now time.Time) []outgoing {
	var packets []outgoing
	for iface, state := range r.interfaces {
		due, any := state.next()
		if !any || due.After(now) {
			continue
		}
		if state.announced < len(announceAfter) && !state.changed.Add(announceAfter[state.announced]).After(now) {
			state.announced++
		}
		state.isQueried = false
		var records []record
		if len(state.addresses) > 0 {
			state.last = now
			records = r.records(state.addresses, timeToLive, true)
		}
		for _, address := range state.withdrawn {
			records = append(records, r.addressRecord(address, 0, false))
		}
		if state.announced == len(announceAfter) {
			state.withdrawn = nil
		}
		packets = append(packets, r.pack(iface, netip.AddrPort{}, 0, nil, records)...)
	}
	return packets
}

// goodbye returns the packets that withdraw all records (RFC 6762 section 10.1).
func (r *responder) goodbye() []outgoing {
	var packets []outgoing
	for iface, state := range r.interfaces {
		if len(state.addresses) > 0 {
			packets = append(packets, r.pack(iface, netip.AddrPort{}, 0, nil, r.records(state.addresses, 0, true))...)
		}
	}
	return packets
}

// next returns when the next packet is due, and whether one is.
func (r *responder) next() (time.Time, bool) {
	var next time.Time
	for _, state := range r.interfaces {
		if due, any := state.next(); any && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return next, !next.IsZero()
}

func (i *responderInterface) next() (time.Time, bool) {
	var next time.Time
	if i.announced < len(announceAfter) {
		next = i.changed.Add(announceAfter[i.announced])
	}
	if i.isQueried && (next.IsZero() || i.responseDue.Before(next)) {
		next = i.responseDue
	}
	return next, !next.IsZero()
}

// records returns all records of the board, since a querier of one needs the others too. The first record is shared
// with other boards, so it has no cache-flush bit.
func (r *responder) records(addresses []netip.Addr, ttl time.Duration, flush bool) []record {
	records := []record{
		{name: serviceName, kind: dnsmessage.TypePTR, ttl: ttl, target: r.instance},
		{name: r.instance, kind: dnsmessage.TypeSRV, ttl: ttl, flush: flush, target: r.host, port: r.port},
		{name: r.instance, kind: dnsmessage.TypeTXT, ttl: ttl, flush: flush, text: r.text},
	}
	for _, address := range addresses {
		records = append(records, r.addressRecord(address, ttl, flush))
	}
	if ttl > 0 { // a goodbye must not withdraw what other boards offer too
		records = append(records, record{name: metaName, kind: dnsmessage.TypePTR, ttl: ttl, target: serviceName})
	}
	return records
}

func (r *responder) addressRecord(address netip.Addr, ttl time.Duration, flush bool) record {
	kind := dnsmessage.TypeAAAA
	if address.Is4() {
		kind = dnsmessage.TypeA
	}
	return record{name: r.host, kind: kind, ttl: ttl, flush: flush, address: address}
}

// pack writes a packet. It returns none where the records cannot be written, which Announcement.Check has ruled out.
func (r *responder) pack(iface string, to netip.AddrPort, id uint16, questions []question, records []record) []outgoing {
	data, err := packResponse(id, questions, records)
	if err != nil || len(records) == 0 {
		return nil
	}
	return []outgoing{{iface, to, data}}
}
