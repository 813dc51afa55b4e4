package discovery

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// How several boards of one serial number are told from one. Boards that are asked
// answer within answerTime, so a board alone is not trusted to be the only one
// before. What a board left behind that was switched off does not answer: all
// are asked several times, and those not heard within silenceTime are dropped; so
// again and again, while the dispute lasts.
const (
	answerTime  = 500 * time.Millisecond
	silenceTime = 4 * time.Second
	disputeTime = 10 * time.Second
)

// dispute is that several boards announce one serial number.
type dispute struct {
	// asked is when the round began in which each must be heard, judged tells
	// that it is over, settled that one was.
	asked           time.Time
	judged, settled bool
}

// due is when the dispute must be looked at again.
func (d *dispute) due() time.Time {
	if d.judged {
		return d.asked.Add(disputeTime)
	}
	return d.asked.Add(silenceTime)
}

// judge begins, continues and ends disputes.
func (b *book) judge(now time.Time) {
	boards := b.boards(now)
	for serial, found := range boards {
		d := b.disputes[serial]
		switch {
		case len(found) < 2:
			delete(b.disputes, serial)
		case d == nil:
			b.disputes[serial] = &dispute{asked: now}
		case !d.judged && !now.Before(d.due()):
			b.dropSilent(serial, d.asked)
			d.judged, d.settled = true, true
			if len(b.boards(now)[serial]) < 2 {
				delete(b.disputes, serial)
			}
		case d.judged && !now.Before(d.due()):
			d.asked, d.judged = now, false
		}
	}
	for serial := range b.disputes {
		if len(boards[serial]) == 0 {
			delete(b.disputes, serial)
		}
	}
}

// dropSilent drops announcements that were not heard since.
func (b *book) dropSilent(serial string, since time.Time) {
	for _, p := range b.pages {
		maps.DeleteFunc(p.instances, func(_ string, i *instance) bool {
			return i.fields["serial"] == serial && i.heard().Before(since)
		})
	}
}

// asking returns when boards had to be asked for the last time: at the beginning
// of a round, or because of a board that was not known before.
func (b *book) asking() time.Time {
	var latest time.Time
	for _, p := range b.pages {
		for _, i := range p.instances {
			if i.since.After(latest) {
				latest = i.since
			}
		}
	}
	for _, d := range b.disputes {
		if !d.judged && d.asked.After(latest) {
			latest = d.asked
		}
	}
	return latest
}

// locate returns where a serial number is.
func (b *book) locate(now time.Time, serial string) Location {
	location := Location{Serial: serial, Boards: b.boards(now)[serial]}
	if d := b.disputes[serial]; d != nil {
		location.Settled = d.settled
		return location
	}
	location.Settled = len(location.Boards) > 0 && !b.newest(serial).Add(answerTime).After(now)
	return location
}

// newest is when the youngest of the announcements of a serial number was first
// heard of. One board has one on each of its interfaces.
func (b *book) newest(serial string) time.Time {
	var newest time.Time
	for _, p := range b.pages {
		for _, i := range p.instances {
			if i.fields["serial"] == serial && i.since.After(newest) {
				newest = i.since
			}
		}
	}
	return newest
}

// all returns every board, sorted by serial number.
func (b *book) all(now time.Time) []Satellite {
	var all []Satellite
	boards := b.boards(now)
	for _, serial := range slices.Sorted(maps.Keys(boards)) {
		all = append(all, boards[serial]...)
	}
	return all
}

// sighting is an announcement on one interface.
type sighting struct {
	network string
	*instance
}

// boards joins the announcements of one id on all interfaces, by serial number.
// One without an address is none: nobody can be reached there.
func (b *book) boards(now time.Time) map[string][]Satellite {
	sightings := map[[2]string][]sighting{}
	for _, network := range slices.Sorted(maps.Keys(b.pages)) {
		p := b.pages[network]
		for _, name := range slices.Sorted(maps.Keys(p.instances)) {
			if i := p.instances[name]; i.complete(now) && len(p.hosts[i.host]) > 0 {
				key := [2]string{i.fields["serial"], i.id()}
				sightings[key] = append(sightings[key], sighting{network, i})
			}
		}
	}
	boards := map[string][]Satellite{}
	for _, key := range slices.SortedFunc(maps.Keys(sightings), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		boards[key[0]] = append(boards[key[0]], b.board(sightings[key]))
	}
	return boards
}

// board makes one of all its announcements. Where they differ the youngest is
// right, and only addresses with its port count.
func (b *book) board(sightings []sighting) Satellite {
	youngest := slices.MaxFunc(sightings, func(a, b sighting) int { return a.heard().Compare(b.heard()) })
	board := Satellite{
		Serial: youngest.fields["serial"], ModuleID: youngest.fields["module"], Version: youngest.fields["version"],
		ID: youngest.id(), Host: strings.TrimSuffix(youngest.host, "."), Port: youngest.port,
	}
	if dialects := youngest.fields["dialects"]; dialects != "" {
		board.Dialects = strings.Split(dialects, ",")
	}
	for _, s := range sightings {
		if s.port != board.Port {
			continue
		}
		if !slices.Contains(board.Interfaces, s.network) {
			board.Interfaces = append(board.Interfaces, s.network)
		}
		for address := range b.pages[s.network].hosts[s.host] {
			if address.Is6() && address.IsLinkLocalUnicast() {
				address = address.WithZone(s.network)
			}
			if !slices.Contains(board.Addresses, address) {
				board.Addresses = append(board.Addresses, address)
			}
		}
	}
	slices.SortFunc(board.Addresses, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Compare(b))
	})
	return board
}

// rank orders addresses by how likely they are meant to be used.
func rank(address netip.Addr) int {
	rank := 0
	if address.IsLinkLocalUnicast() {
		rank += 2
	}
	if address.Is6() {
		rank++
	}
	return rank
}
