package discovery

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// How much a cache keeps of each interface. A station has three satellites. What comes beyond is dropped.
const (
	maxInstances  = 64
	maxHosts      = 64
	maxAddresses  = 16
	maxSuperseded = 64
)

const (
	// maxTTL is how long a record is kept at most: the longest time that RFC 6762 section 10 recommends.
	maxTTL = 75 * time.Minute
	// flushAge is the age from which a cache-flush bit removes a record. Younger ones belong to the same announcement,
	// which may take several packets (RFC 6762 section 10.2).
	flushAge = time.Second
	// maxText is how many bytes of a TXT record's value are sent and kept.
	maxText = 120
)

// cache is the record cache of a browser (RFC 6762 section 10), reduced to which boards announce which serial number.
// It has no clock, and is not safe for concurrent use.
type cache struct {
	interfaces map[string]*interfaceCache
	// superseded are the ids of instances that a newer one at the same address has replaced, oldest first.
	superseded []string
	conflicts  map[string]*conflict // by serial number
}

// interfaceCache is what was received on one interface.
type interfaceCache struct {
	instances map[string]*instance                // by name of the instance
	hosts     map[string]map[netip.Addr]*lifetime // by host name
}

// lifetime is when a record was received last, and when it expires.
type lifetime struct{ received, expires time.Time }

// instance is a service instance (RFC 6763 section 4.1). It counts once all three of its records are there.
type instance struct {
	// since is when the first of its records was received.
	since                  time.Time
	pointer, service, text lifetime
	host                   string
	port                   int
	fields                 map[string]string // of the TXT record
}

// isComplete reports whether all three records are there and valid.
func (i *instance) isComplete(now time.Time) bool {
	return i.pointer.expires.After(now) && i.service.expires.After(now) && i.text.expires.After(now) && i.fields["serial"] != "" && i.port > 0
}

func (i *instance) received() time.Time { return i.service.received }

// id distinguishes boards that announce the same serial number.
func (i *instance) id() string {
	if id := i.fields["id"]; id != "" {
		return id
	}
	return i.host
}

func newCache() *cache {
	return &cache{interfaces: map[string]*interfaceCache{}, conflicts: map[string]*conflict{}}
}

// add adds the records of one packet that was received on an interface.
func (c *cache) add(now time.Time, iface string, records []record) {
	i := c.interfaces[iface]
	if i == nil {
		i = &interfaceCache{instances: map[string]*instance{}, hosts: map[string]map[netip.Addr]*lifetime{}}
		c.interfaces[iface] = i
	}
	i.flush(now, records)
	for _, r := range records {
		i.add(now, r)
	}
	i.expire(now)
	c.supersede(now, i)
	c.decideConflicts(now)
}

// removeInterface drops what was received on an interface that is gone.
func (c *cache) removeInterface(now time.Time, iface string) {
	delete(c.interfaces, iface)
	c.decideConflicts(now)
}

// advance drops what has expired at a time, and decides the conflicts that are due.
func (c *cache) advance(now time.Time) {
	for _, i := range c.interfaces {
		i.expire(now)
	}
	c.decideConflicts(now)
}

// flush drops the addresses that a packet with the cache-flush bit replaces.
func (i *interfaceCache) flush(now time.Time, records []record) {
	for _, r := range records {
		if !r.flush || r.kind != dnsmessage.TypeA && r.kind != dnsmessage.TypeAAAA {
			continue
		}
		for address, life := range i.hosts[r.name] {
			if address.Is4() == (r.kind == dnsmessage.TypeA) && now.Sub(life.received) > flushAge {
				delete(i.hosts[r.name], address)
			}
		}
	}
}

func (i *interfaceCache) add(now time.Time, r record) {
	life := lifetime{received: now, expires: now.Add(min(r.ttl, maxTTL))}
	switch r.kind {
	case dnsmessage.TypePTR:
		if r.name != serviceName {
			return
		}
		if r.ttl == 0 {
			delete(i.instances, r.target)
			return
		}
		if found := i.instance(now, r.target); found != nil {
			found.pointer = life
		}
	case dnsmessage.TypeSRV:
		if found := i.instance(now, r.name); found != nil {
			found.service, found.host, found.port = life, r.target, r.port
		}
	case dnsmessage.TypeTXT:
		if found := i.instance(now, r.name); found != nil {
			found.text, found.fields = life, parseText(r.text)
		}
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		i.addAddress(r, life)
	}
}

// instance returns the instance of that name, a new one if there is room, or nil.
func (i *interfaceCache) instance(now time.Time, name string) *instance {
	label, found := strings.CutSuffix(name, "."+serviceName)
	if !found || label == "" {
		return nil
	}
	known := i.instances[name]
	if known == nil && len(i.instances) < maxInstances {
		known = &instance{since: now}
		i.instances[name] = known
	}
	return known
}

func (i *interfaceCache) addAddress(r record, life lifetime) {
	address := r.address.Unmap()
	// Another board cannot be at one of this machine's own addresses.
	if address.IsUnspecified() || address.IsMulticast() || address.IsLoopback() || r.address.Is4In6() {
		return
	}
	addresses := i.hosts[r.name]
	if r.ttl == 0 {
		delete(addresses, address)
		return
	}
	if addresses == nil {
		if len(i.hosts) >= maxHosts {
			return
		}
		addresses = map[netip.Addr]*lifetime{}
		i.hosts[r.name] = addresses
	}
	if _, known := addresses[address]; known || len(addresses) < maxAddresses {
		addresses[address] = &life
	}
}

// expire drops what has expired, and hosts that no instance names. Every packet of a host brings its addresses.
func (i *interfaceCache) expire(now time.Time) {
	named := map[string]bool{}
	for name, found := range i.instances {
		if !found.pointer.expires.After(now) && !found.service.expires.After(now) && !found.text.expires.After(now) {
			delete(i.instances, name)
			continue
		}
		named[found.host] = true
	}
	for host, addresses := range i.hosts {
		for address, life := range addresses {
			if !life.expires.After(now) {
				delete(addresses, address)
			}
		}
		if len(addresses) == 0 || !named[host] {
			delete(i.hosts, host)
		}
	}
}

// supersede drops an instance when a newer one of the same serial number is at the same address: the older process
// ended without a goodbye. A dropped instance that is received again belongs to another board, so it is kept from then
// on.
func (c *cache) supersede(now time.Time, i *interfaceCache) {
	for oldName, old := range i.instances {
		for _, young := range i.instances {
			if old == young || !old.isComplete(now) || !young.isComplete(now) || old.id() == young.id() ||
				old.fields["serial"] != young.fields["serial"] || !old.received().Before(young.received()) {
				continue
			}
			if !i.shareAddress(old, young) || slices.Contains(c.superseded, old.id()) || slices.Contains(c.superseded, young.id()) {
				continue
			}
			c.superseded = append(c.superseded, old.id())
			if len(c.superseded) > maxSuperseded {
				c.superseded = c.superseded[1:]
			}
			delete(i.instances, oldName)
			break
		}
	}
}

func (i *interfaceCache) shareAddress(a, b *instance) bool {
	for address := range i.hosts[a.host] {
		if _, shared := i.hosts[b.host][address]; shared {
			return true
		}
	}
	return false
}

// next returns when the cache must be advanced again, and whether that is ever.
func (c *cache) next(now time.Time) (time.Time, bool) {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, i := range c.interfaces {
		for _, found := range i.instances {
			consider(found.since.Add(responseTime))
			for _, life := range []lifetime{found.pointer, found.service, found.text} {
				consider(life.expires)
			}
		}
		for _, addresses := range i.hosts {
			for _, life := range addresses {
				consider(life.expires)
			}
		}
	}
	for _, conflict := range c.conflicts {
		consider(conflict.due())
	}
	return next, !next.IsZero()
}

// parseText reads the strings of a TXT record (RFC 6763 section 6.4): names are case-insensitive, and the first value
// of a name counts.
func parseText(text []string) map[string]string {
	fields := map[string]string{}
	for _, entry := range text {
		name, value, _ := strings.Cut(entry, "=")
		name = strings.ToLower(name)
		if _, known := fields[name]; !known && name != "" && len(fields) < 32 {
			fields[name] = printable(value)
		}
	}
	if identity.CheckSerial(fields["serial"]) != nil {
		delete(fields, "serial")
	}
	return fields
}

// printable escapes what could do harm in a log or a terminal.
func printable(text string) string {
	if quoted := strconv.QuoteToASCII(text); len(quoted) > len(text)+2 {
		text = quoted
	}
	return text[:min(len(text), maxText)]
}
