package discovery

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// What a book keeps of each interface at most: a station has three satellites.
const (
	mostInstances  = 64
	mostHosts      = 64
	mostAddresses  = 16
	mostSuperseded = 64
)

// mostTime is how long a record is believed at most, whatever it says: the longest
// that RFC 6762 section 10 recommends.
const mostTime = 75 * time.Minute

// coherence is the time in which packets of one change may come one after the
// other: a record that is younger is not flushed (RFC 6762 section 10.2).
const coherence = time.Second

// book folds the records that are heard, interface by interface, into which
// boards announce which serial number. It has no clock: each call tells the
// time. It is not safe for concurrent use.
type book struct {
	pages map[string]*page
	// superseded are the ids of announcements that a newer one from the same
	// address has replaced, oldest first.
	superseded []string
	// disputes are the serial numbers that several boards announce.
	disputes map[string]*dispute
}

// page is what was heard on one interface.
type page struct {
	instances map[string]*instance                // by name of the instance
	hosts     map[string]map[netip.Addr]*lifetime // by host name
}

// lifetime is when something was heard last, and until when it is true.
type lifetime struct{ heard, until time.Time }

// instance is one announcement of the service. It counts once all three of its
// records are there.
type instance struct {
	// since is when it was first heard of.
	since                  time.Time
	pointer, service, text lifetime
	host                   string
	port                   int
	fields                 map[string]string
}

// complete tells whether all that is needed is known at a time.
func (i *instance) complete(now time.Time) bool {
	return i.pointer.until.After(now) && i.service.until.After(now) && i.text.until.After(now) && i.fields["serial"] != "" && i.port > 0
}

// heard is when the announcement was last heard as a whole.
func (i *instance) heard() time.Time { return i.service.heard }

func (i *instance) id() string {
	if id := i.fields["id"]; id != "" {
		return id
	}
	return i.host
}

func newBook() *book {
	return &book{pages: map[string]*page{}, disputes: map[string]*dispute{}}
}

// hear takes what one packet said on an interface.
func (b *book) hear(now time.Time, network string, records []record) {
	p := b.pages[network]
	if p == nil {
		p = &page{instances: map[string]*instance{}, hosts: map[string]map[netip.Addr]*lifetime{}}
		b.pages[network] = p
	}
	p.flush(now, records)
	for _, r := range records {
		p.take(now, r)
	}
	p.expire(now)
	b.supersede(now, p)
	b.judge(now)
}

// forget drops what was heard on an interface that is gone.
func (b *book) forget(now time.Time, network string) {
	delete(b.pages, network)
	b.judge(now)
}

// pass lets time pass.
func (b *book) pass(now time.Time) {
	for _, p := range b.pages {
		p.expire(now)
	}
	b.judge(now)
}

// flush drops the addresses that a packet with the cache-flush bit replaces.
func (p *page) flush(now time.Time, records []record) {
	for _, r := range records {
		if !r.flush || r.kind != dnsmessage.TypeA && r.kind != dnsmessage.TypeAAAA {
			continue
		}
		for address, life := range p.hosts[r.name] {
			if address.Is4() == (r.kind == dnsmessage.TypeA) && now.Sub(life.heard) > coherence {
				delete(p.hosts[r.name], address)
			}
		}
	}
}

func (p *page) take(now time.Time, r record) {
	life := lifetime{heard: now, until: now.Add(min(r.ttl, mostTime))}
	switch r.kind {
	case dnsmessage.TypePTR:
		if r.name != serviceName {
			return
		}
		if r.ttl == 0 {
			delete(p.instances, r.target)
			return
		}
		if i := p.instance(now, r.target); i != nil {
			i.pointer = life
		}
	case dnsmessage.TypeSRV:
		if i := p.instance(now, r.name); i != nil {
			i.service, i.host, i.port = life, r.target, r.port
		}
	case dnsmessage.TypeTXT:
		if i := p.instance(now, r.name); i != nil {
			i.text, i.fields = life, parseText(r.text)
		}
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		p.takeAddress(r, life)
	}
}

// instance returns the announcement of that name, a new one if there is room, or
// nil.
func (p *page) instance(now time.Time, name string) *instance {
	label, found := strings.CutSuffix(name, "."+serviceName)
	if !found || label == "" {
		return nil
	}
	i := p.instances[name]
	if i == nil && len(p.instances) < mostInstances {
		i = &instance{since: now}
		p.instances[name] = i
	}
	return i
}

func (p *page) takeAddress(r record, life lifetime) {
	address := r.address.Unmap()
	// Nobody else's board is at an address of this machine's own.
	if address.IsUnspecified() || address.IsMulticast() || address.IsLoopback() || r.address.Is4In6() {
		return
	}
	addresses := p.hosts[r.name]
	if r.ttl == 0 {
		delete(addresses, address)
		return
	}
	if addresses == nil {
		if len(p.hosts) >= mostHosts {
			return
		}
		addresses = map[netip.Addr]*lifetime{}
		p.hosts[r.name] = addresses
	}
	if _, known := addresses[address]; known || len(addresses) < mostAddresses {
		addresses[address] = &life
	}
}

// expire drops what is not true any more, and hosts that no announcement names:
// every packet of a host on the link brings its addresses.
func (p *page) expire(now time.Time) {
	named := map[string]bool{}
	for name, i := range p.instances {
		if !i.pointer.until.After(now) && !i.service.until.After(now) && !i.text.until.After(now) {
			delete(p.instances, name)
			continue
		}
		named[i.host] = true
	}
	for host, addresses := range p.hosts {
		for address, life := range addresses {
			if !life.until.After(now) {
				delete(addresses, address)
			}
		}
		if len(addresses) == 0 || !named[host] {
			delete(p.hosts, host)
		}
	}
}

// supersede drops an announcement whose board has one more, younger, of the same
// serial number at the same address: its process ended without a good-bye. An
// announcement that was dropped so and is heard again is another board's.
func (b *book) supersede(now time.Time, p *page) {
	for oldName, old := range p.instances {
		for _, young := range p.instances {
			if old == young || !old.complete(now) || !young.complete(now) || old.id() == young.id() ||
				old.fields["serial"] != young.fields["serial"] || !old.heard().Before(young.heard()) {
				continue
			}
			if !p.shareAddress(old, young) || slices.Contains(b.superseded, old.id()) || slices.Contains(b.superseded, young.id()) {
				continue
			}
			b.superseded = append(b.superseded, old.id())
			if len(b.superseded) > mostSuperseded {
				b.superseded = b.superseded[1:]
			}
			delete(p.instances, oldName)
			break
		}
	}
}

func (p *page) shareAddress(a, b *instance) bool {
	for address := range p.hosts[a.host] {
		if _, shared := p.hosts[b.host][address]; shared {
			return true
		}
	}
	return false
}

// next returns when something will expire, or must be judged; false is never.
func (b *book) next(now time.Time) (time.Time, bool) {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, p := range b.pages {
		for _, i := range p.instances {
			consider(i.since.Add(answerTime))
			for _, life := range []lifetime{i.pointer, i.service, i.text} {
				consider(life.until)
			}
		}
		for _, addresses := range p.hosts {
			for _, life := range addresses {
				consider(life.until)
			}
		}
	}
	for _, d := range b.disputes {
		consider(d.due())
	}
	return next, !next.IsZero()
}

// parseText reads the strings of a TXT record (RFC 6763 section 6.4): names are
// case-insensitive, and the first of one name counts.
func parseText(text []string) map[string]string {
	fields := map[string]string{}
	for _, entry := range text {
		name, value, _ := strings.Cut(entry, "=")
		name = strings.ToLower(name)
		if _, known := fields[name]; !known && name != "" && len(fields) < 32 {
			fields[name] = printable(value)
		}
	}
	if CheckSerial(fields["serial"]) != nil {
		delete(fields, "serial")
	}
	return fields
}

// printable keeps what a stranger says harmless in a log.
func printable(text string) string {
	if quoted := strconv.QuoteToASCII(text); len(quoted) > len(text)+2 {
		text = quoted
	}
	return text[:min(len(text), mostText)]
}
