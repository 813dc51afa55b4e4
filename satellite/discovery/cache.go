package discovery

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// How much a cache keeps. A station has three satellites.
const (
	// maxInstances is how many instances an interface may have. Further ones are dropped. Where the boards prove their
	// serial number, the bound is maxSources sources of maxSourceInstances each: a further source replaces a random
	// one, and a further instance the one of its source that was received longest ago.
	maxInstances       = 64
	maxSources         = 64
	maxSourceInstances = 4
	// maxUnidentified is how many of the instances may be without a TXT record. A further one replaces the oldest.
	maxUnidentified = 8
	maxAddresses    = 16 // of each host; further ones are dropped
	maxSuperseded   = 64
)

const (
	// lifetimeOfSighting is how long a record is kept after it was received, whatever its TTL. The TTL is a claim of
	// the sender: a stranger's must not outlive the stranger by hours, and a short one must not make a board blink
	// between two queries. A TTL of 0 is a goodbye, and removes the record at once: RFC 6762 section 10.1 waits a second
	// for another owner to contradict, but an instance has only one.
	lifetimeOfSighting = 4 * maxPause
	// flushAge is the age from which a cache-flush bit removes a record. Younger ones belong to the same announcement,
	// which may take several packets (RFC 6762 section 10.2).
	flushAge = time.Second
	// maxText is how many bytes of a TXT record's value are sent and kept.
	maxText = 120
)

// cache is the record cache of a browser (RFC 6762 section 10), reduced to which boards announce which serial number.
// It has no clock, and is not safe for concurrent use.
type cache struct {
	// serial is the only serial number that is kept. An empty one keeps all.
	serial string
	// verified means that the boards prove their serial number to the caller, so any of them may be an impostor. Then a
	// sender changes only its own records, and there are no conflicts.
	verified bool
	sources  map[source]*sourceCache
	// since is when the first of the sources was received, zero while there is none.
	since time.Time
	// superseded are the ids of instances that a newer one at the same address has replaced, oldest first.
	superseded []string
	conflicts  map[string]*conflict // by serial number
}

// source is where records come from: an interface, and the address of the sender where boards prove their serial
// number.
type source struct {
	iface  string
	sender netip.Addr
}

// sourceCache is what was received from one source.
type sourceCache struct {
	maxInstances int
	instances    map[string]*instance                // by name of the instance
	hosts        map[string]map[netip.Addr]*lifetime // by host name, only those that an instance names
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

// latest returns when any of its records was received last.
func (i *instance) latest() time.Time {
	latest := i.pointer.received
	for _, life := range []lifetime{i.service, i.text} {
		if life.received.After(latest) {
			latest = life.received
		}
	}
	return latest
}

// newCache returns a cache for one serial number, or for all where serial is empty.
func newCache(serial string, verified bool) *cache {
	return &cache{serial: serial, verified: verified, sources: map[source]*sourceCache{}, conflicts: map[string]*conflict{}}
}

// add adds the records of one packet that was received on an interface. It reports whether any of them matters.
func (c *cache) add(now time.Time, iface string, sender netip.Addr, records []record) bool {
	from := source{iface: iface}
	if c.verified {
		from.sender = sender
	}
	s := c.sources[from]
	if s == nil {
		s = &sourceCache{maxInstances: maxInstances, instances: map[string]*instance{}, hosts: map[string]map[netip.Addr]*lifetime{}}
		if c.verified {
			s.maxInstances = maxSourceInstances
		}
	}
	s.flush(now, records)
	if !s.add(now, c.serial, records) {
		return false
	}
	s.expire(now)
	if c.sources[from] == nil {
		c.makeRoom(iface)
		c.sources[from] = s
		if len(c.sources) == 1 && c.since.IsZero() {
			c.since = now
		}
	}
	c.supersede(now, s)
	c.decideConflicts(now)
	return true
}

// makeRoom drops a random source of an interface that has maxSources. A stranger with many addresses then cannot know
// which of them stays.
func (c *cache) makeRoom(iface string) {
	var present []source
	for from := range c.sources {
		if from.iface == iface {
			present = append(present, from)
		}
	}
	if len(present) >= maxSources {
		delete(c.sources, present[rand.IntN(len(present))])
	}
}

// removeInterface drops what was received on an interface that is gone.
func (c *cache) removeInterface(now time.Time, iface string) {
	maps.DeleteFunc(c.sources, func(from source, _ *sourceCache) bool { return from.iface == iface })
	c.decideConflicts(now)
}

// advance drops what has expired at a time, and decides the conflicts that are due.
func (c *cache) advance(now time.Time) {
	for from, s := range c.sources {
		s.expire(now)
		if len(s.instances) == 0 {
			delete(c.sources, from)
		}
	}
	if len(c.sources) == 0 {
		c.since = time.Time{}
	}
	c.decideConflicts(now)
}

// supersede drops an instance when a newer one of the same serial number is at the same address: the older process
// ended without a goodbye. A dropped instance that is received again belongs to another board, so it is kept from then
// on.
func (c *cache) supersede(now time.Time, s *sourceCache) {
	for oldName, old := range s.instances {
		for _, young := range s.instances {
			if old == young || !old.isComplete(now) || !young.isComplete(now) || old.id() == young.id() ||
				old.fields["serial"] != young.fields["serial"] || !old.received().Before(young.received()) {
				continue
			}
			if !s.shareAddress(old, young) || slices.Contains(c.superseded, old.id()) || slices.Contains(c.superseded, young.id()) {
				continue
			}
			c.superseded = append(c.superseded, old.id())
			if len(c.superseded) > maxSuperseded {
				c.superseded = c.superseded[1:]
			}
			delete(s.instances, oldName)
			break
		}
	}
}

// next returns when the cache must be advanced again, and whether that is ever.
func (c *cache) next(now time.Time) (time.Time, bool) {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, s := range c.sources {
		for _, found := range s.instances {
			consider(found.since.Add(responseTime))
			for _, life := range []lifetime{found.pointer, found.service, found.text} {
				consider(life.expires)
			}
		}
		for _, addresses := range s.hosts {
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
