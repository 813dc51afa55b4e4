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
	// Settled reports whether the number of boards can be relied on. It is false for the first half second after a
	// board was found, because another board may still respond. It is false for the first four seconds of a conflict,
	// because the records that a restarted board left behind look like another board. It is false where no board is
	// found.
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

// located is an instance on one interface.
type located struct {
	iface string
	*instance
}

// boards joins the instances of one id on all interfaces, by serial number. An instance without an address is left out.
func (c *cache) boards(now time.Time) map[string][]Satellite {
	type key struct{ serial, id string }
	instances := map[key][]located{}
	for _, iface := range slices.Sorted(maps.Keys(c.interfaces)) {
		i := c.interfaces[iface]
		for _, name := range slices.Sorted(maps.Keys(i.instances)) {
			if found := i.instances[name]; found.isComplete(now) && len(i.hosts[found.host]) > 0 {
				k := key{found.fields["serial"], found.id()}
				instances[k] = append(instances[k], located{iface, found})
			}
		}
	}
	boards := map[string][]Satellite{}
	byKey := func(a, b key) int { return cmp.Or(cmp.Compare(a.serial, b.serial), cmp.Compare(a.id, b.id)) }
	for _, k := range slices.SortedFunc(maps.Keys(instances), byKey) {
		boards[k.serial] = append(boards[k.serial], c.board(instances[k]))
	}
	return boards
}

// board joins the instances of one board. Where they differ the youngest is right, and only addresses with its port
// count.
func (c *cache) board(instances []located) Satellite {
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
		for address := range c.interfaces[one.iface].hosts[one.host] {
			if address.Is6() && address.IsLinkLocalUnicast() {
				address = address.WithZone(one.iface)
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
