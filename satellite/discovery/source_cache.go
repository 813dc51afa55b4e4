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

// kindsInOrder are the kinds of records in the order in which a packet's are added: each kind decides whether a record of
// the next one matters.
var kindsInOrder = [][]dnsmessage.Type{{dnsmessage.TypeTXT}, {dnsmessage.TypeSRV}, {dnsmessage.TypePTR}, {dnsmessage.TypeA, dnsmessage.TypeAAAA}}

// add adds the records of one packet. Where serial is not empty, instances with another serial number are dropped. It
// reports whether any record matters.
func (s *sourceCache) add(now time.Time, serial string, records []record) (matters bool) {
	strangers := map[string]bool{}
	for _, kinds := range kindsInOrder {
		for _, r := range records {
			if !slices.Contains(kinds, r.kind) || strangers[r.name] || strangers[r.target] {
				continue
			}
			if r.kind == dnsmessage.TypeTXT && !isWanted(serial, r) {
				strangers[r.name] = true
				_, known := s.instances[r.name]
				delete(s.instances, r.name)
				matters = matters || known
				continue
			}
			matters = s.addRecord(now, r) || matters
		}
	}
	return matters
}

// isWanted reports whether a TXT record has the serial number. Any serial number is wanted where serial is empty.
func isWanted(serial string, r record) bool {
	announced := parseText(r.text)["serial"]
	return announced != "" && (serial == "" || announced == serial)
}

// addRecord adds one record, and reports whether it matters.
func (s *sourceCache) addRecord(now time.Time, r record) bool {
	switch r.kind {
	case dnsmessage.TypePTR:
		if r.name != serviceName {
			return false
		}
		found := s.instance(now, r.target, r)
		if found != nil && r.ttl == 0 {
			delete(s.instances, r.target)
			return true
		}
		if found != nil {
			found.pointer.sight(now, r.ttl)
			return true
		}
	case dnsmessage.TypeSRV:
		if found := s.instance(now, r.name, r); found != nil {
			found.service.sight(now, r.ttl)
			found.host, found.port = r.target, r.port
			return true
		}
	case dnsmessage.TypeTXT:
		if found := s.instance(now, r.name, r); found != nil {
			found.text.sight(now, r.ttl)
			found.fields = parseText(r.text)
			return true
		}
	case dnsmessage.TypeA, dnsmessage.TypeAAAA:
		return s.addAddress(now, r)
	}
	return false
}

// sight records that a record was received. A TTL of 0 is a goodbye.
func (l *lifetime) sight(now time.Time, ttl time.Duration) {
	l.received, l.expires = now, now
	if ttl > 0 {
		l.expires = now.Add(lifetimeOfSighting)
	}
}

// instance returns the instance of that name, which the record r describes. It makes room for a new one, or returns nil.
func (s *sourceCache) instance(now time.Time, name string, r record) *instance {
	label, found := strings.CutSuffix(name, "."+serviceName)
	if !found || label == "" {
		return nil
	}
	known := s.instances[name]
	if known != nil || r.ttl == 0 || !s.makeRoom(r.kind == dnsmessage.TypeTXT) {
		return known
	}
	known = &instance{since: now}
	s.instances[name] = known
	return known
}

// makeRoom makes room for an instance and reports whether there is any. isIdentified means that its TXT record is known.
func (s *sourceCache) makeRoom(isIdentified bool) bool {
	oldest := func(which func(*instance) bool) (name string, count int) {
		for candidate, found := range s.instances {
			if !which(found) {
				continue
			}
			if count++; count == 1 || found.latest().Before(s.instances[name].latest()) {
				name = candidate
			}
		}
		return name, count
	}
	unidentified, count := oldest(func(i *instance) bool { return i.fields == nil })
	switch {
	case !isIdentified && count >= maxUnidentified, count > 0 && len(s.instances) >= s.maxInstances:
		delete(s.instances, unidentified)
	case len(s.instances) < s.maxInstances:
	case s.maxInstances == maxSourceInstances:
		name, _ := oldest(func(*instance) bool { return true })
		delete(s.instances, name)
	default:
		return false
	}
	return true
}

// addAddress adds an address of a host that an instance names.
func (s *sourceCache) addAddress(now time.Time, r record) bool {
	address := r.address.Unmap()
	// Another board cannot be at one of this machine's own addresses.
	if address.IsUnspecified() || address.IsMulticast() || address.IsLoopback() || r.address.Is4In6() || !s.names(r.name) {
		return false
	}
	addresses := s.hosts[r.name]
	life := addresses[address]
	if life == nil {
		if r.ttl == 0 || len(addresses) >= maxAddresses {
			return false
		}
		life = &lifetime{}
	}
	if addresses == nil {
		addresses = map[netip.Addr]*lifetime{}
		s.hosts[r.name] = addresses
	}
	addresses[address] = life
	life.sight(now, r.ttl)
	return true
}

// names reports whether an instance names a host.
func (s *sourceCache) names(host string) bool {
	for _, found := range s.instances {
		if found.host == host {
			return true
		}
	}
	return false
}

// flush drops the addresses that a packet with the cache-flush bit replaces.
func (s *sourceCache) flush(now time.Time, records []record) {
	for _, r := range records {
		if !r.flush || r.kind != dnsmessage.TypeA && r.kind != dnsmessage.TypeAAAA {
			continue
		}
		for address, life := range s.hosts[r.name] {
			if address.Is4() == (r.kind == dnsmessage.TypeA) && now.Sub(life.received) > flushAge {
				delete(s.hosts[r.name], address)
			}
		}
	}
}

// expire drops what has expired, and hosts that no instance names. Every packet of a host brings its addresses.
func (s *sourceCache) expire(now time.Time) {
	named := map[string]bool{}
	for name, found := range s.instances {
		if !found.pointer.expires.After(now) && !found.service.expires.After(now) && !found.text.expires.After(now) {
			delete(s.instances, name)
			continue
		}
		named[found.host] = true
	}
	for host, addresses := range s.hosts {
		for address, life := range addresses {
			if !life.expires.After(now) {
				delete(addresses, address)
			}
		}
		if len(addresses) == 0 || !named[host] {
			delete(s.hosts, host)
		}
	}
}

func (s *sourceCache) shareAddress(a, b *instance) bool {
	for address := range s.hosts[a.host] {
		if _, shared := s.hosts[b.host][address]; shared {
			return true
		}
	}
	return false
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
