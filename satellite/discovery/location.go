package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

var (
	errNotFound = errors.New("no satellite with this serial number is announced")
	// ErrAmbiguous is the error of a Location where more than one board announces the serial number.
	ErrAmbiguous = errors.New("several boards announce this serial number")
)

// Location is where a serial number was found.
type Location struct {
	Serial string
	// Boards are the boards that announce the serial number: none where it is not found, several where it is ambiguous.
	Boards []Satellite
	// Settled reports whether the number of boards can be relied on. It is false for the first 1.12 s after a board was
	// found, because another board may still respond. It is false for the first four seconds of a conflict, because the
	// records that a restarted board left behind look like another board. It is false where no board is found. Where
	// [WatchConfig.Verified] is set, it is true from 1.12 s after the first board on.
	Settled bool
}

// Err returns nil where exactly one board announces the serial number. Where several boards announce it, the error
// wraps ErrAmbiguous.
func (l Location) Err() error {
	switch len(l.Boards) {
	case 0:
		return fmt.Errorf("discovery: serial %s: %w", l.Serial, errNotFound)
	case 1:
		return nil
	}
	var boards []string
	for _, board := range l.Boards {
		boards = append(boards, board.describe())
	}
	return fmt.Errorf("discovery: serial %s: %w: %s; give each board a serial number of its own",
		l.Serial, ErrAmbiguous, strings.Join(boards, " and "))
}

func (l Location) equal(other Location) bool {
	return l.Serial == other.Serial && l.Settled == other.Settled && slices.EqualFunc(l.Boards, other.Boards, Satellite.equal)
}

// locate returns where a serial number is.
func (c *cache) locate(now time.Time, serial string) Location {
	boards := c.boards(now)[serial]
	return Location{Serial: serial, Boards: boards, Settled: c.isSettled(now, serial, len(boards))}
}

// all returns every board, sorted by serial number.
func (c *cache) all(now time.Time) []Satellite {
	var all []Satellite
	boards := c.boards(now)
	for _, serial := range slices.Sorted(maps.Keys(boards)) {
		all = append(all, boards[serial]...)
	}
	return all
}

// located is an instance of one source.
type located struct {
	iface string
	hosts map[string]map[netip.Addr]*lifetime
	*instance
}

// boards joins the instances of one id on all interfaces, by serial number. An instance without an address is left out.
// Where boards prove their serial number, an instance with another host, port or address is another board: it may be a
// stranger's.
func (c *cache) boards(now time.Time) map[string][]Satellite {
	type key struct {
		serial, id, host, addresses string
		port                        int
	}
	instances := map[key][]located{}
	bySource := func(a, b source) int { return cmp.Or(cmp.Compare(a.iface, b.iface), a.sender.Compare(b.sender)) }
	for _, from := range slices.SortedFunc(maps.Keys(c.sources), bySource) {
		s := c.sources[from]
		for _, name := range slices.Sorted(maps.Keys(s.instances)) {
			if found := s.instances[name]; found.isComplete(now) && len(s.hosts[found.host]) > 0 {
				k := key{serial: found.fields["serial"], id: found.id()}
				if c.verified {
					k.host, k.port, k.addresses = found.host, found.port, fmt.Sprint(sortedAddresses(s.hosts[found.host]))
				}
				instances[k] = append(instances[k], located{from.iface, s.hosts, found})
			}
		}
	}
	boards := map[string][]Satellite{}
	byKey := func(a, b key) int {
		return cmp.Or(cmp.Compare(a.serial, b.serial), cmp.Compare(a.id, b.id), cmp.Compare(a.host, b.host),
			cmp.Compare(a.port, b.port), cmp.Compare(a.addresses, b.addresses))
	}
	for _, k := range slices.SortedFunc(maps.Keys(instances), byKey) {
		boards[k.serial] = append(boards[k.serial], joined(instances[k]))
	}
	return boards
}

// joined returns the board of some instances. Where they differ the youngest is right, and only addresses with its port
// count.
func joined(instances []located) Satellite {
	youngest := slices.MaxFunc(instances, func(a, b located) int { return a.received().Compare(b.received()) })
	board := Satellite{
		Serial: youngest.fields["serial"], ModuleID: youngest.fields["module"], Version: youngest.fields["version"],
		ID: youngest.id(), Host: strings.TrimSuffix(youngest.host, "."), Port: youngest.port,
	}
	if dialects := youngest.fields["dialects"]; dialects != "" {
		board.Dialects = strings.Split(dialects, ",")
	}
	for _, one := range instances {
		if one.port != board.Port {
			continue
		}
		if !slices.Contains(board.Interfaces, one.iface) {
			board.Interfaces = append(board.Interfaces, one.iface)
		}
		for _, address := range sortedAddresses(one.hosts[one.host]) {
			if address.Is6() && address.IsLinkLocalUnicast() {
				address = address.WithZone(one.iface)
			}
			if !slices.Contains(board.Addresses, address) {
				board.Addresses = append(board.Addresses, address)
			}
		}
	}
	slices.SortFunc(board.Addresses, compareAddresses)
	return board
}

func sortedAddresses(addresses map[netip.Addr]*lifetime) []netip.Addr {
	return slices.SortedFunc(maps.Keys(addresses), compareAddresses)
}

func compareAddresses(a, b netip.Addr) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Compare(b))
}

// rank orders addresses: IPv4 before IPv6, link-local ones last.
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
