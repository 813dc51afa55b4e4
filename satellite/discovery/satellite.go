package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ServiceType is the DNS-SD service type under which satellites are announced.
const ServiceType = "_evsatellite._tcp"

var (
	// ErrNotFound is a serial number that nobody announces on the interfaces.
	ErrNotFound = errors.New("no satellite with this serial number is announced")
	// ErrAmbiguous is a serial number that more than one board announces.
	ErrAmbiguous = errors.New("several boards announce this serial number")
)

// Satellite is one board as it announces itself.
type Satellite struct {
	// Serial is the board's serial number, ModuleID the agent's module id,
	// Version that of the agent; both are empty where the board does not say.
	Serial, ModuleID, Version string
	// Dialects are the dialects of the link that the agent speaks: legacy, v2.
	Dialects []string
	// ID tells boards apart that announce the same serial number: a number that
	// the announcing process has drawn, else the board's host name.
	ID string
	// Host is the board's multicast DNS host name.
	Host string
	// Addresses are where the agent can be reached, IPv4 before IPv6 and link-local
	// ones last, those with the name of the interface as zone. Port is the TCP
	// port at each of them.
	Addresses []netip.Addr
	Port      int
	// Interfaces are this machine's interfaces on which the board is heard.
	Interfaces []string
}

// Endpoints returns the addresses with the port, in the order in which they
// should be tried.
func (s Satellite) Endpoints() []netip.AddrPort {
	endpoints := make([]netip.AddrPort, len(s.Addresses))
	for i, address := range s.Addresses {
		endpoints[i] = netip.AddrPortFrom(address, uint16(s.Port))
	}
	return endpoints
}

func (s Satellite) equal(other Satellite) bool {
	return s.Serial == other.Serial && s.ModuleID == other.ModuleID && s.Version == other.Version && s.ID == other.ID &&
		s.Host == other.Host && s.Port == other.Port && slices.Equal(s.Dialects, other.Dialects) &&
		slices.Equal(s.Addresses, other.Addresses) && slices.Equal(s.Interfaces, other.Interfaces)
}

// Location is what is known of where a serial number is.
type Location struct {
	// Serial is the serial number asked for.
	Serial string
	// Boards are those that announce it: none while it is not found, one when
	// it is, more when it is ambiguous.
	Boards []Satellite
	// Settled tells that the number of boards can be relied on. It is false for
	// the first half second of a board, in which another one of the same serial
	// number may answer, and for the few seconds in which one of several boards
	// may turn out to be what a restarted board has left behind.
	Settled bool
}

// Err returns nil where there is exactly one board, else an error that says what
// is the matter and that is ErrNotFound or ErrAmbiguous.
func (l Location) Err() error {
	switch len(l.Boards) {
	case 0:
		return fmt.Errorf("discovery: serial %s: %w", l.Serial, ErrNotFound)
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

func (s Satellite) describe() string {
	var addresses []string
	for _, address := range s.Addresses {
		addresses = append(addresses, address.String())
	}
	return fmt.Sprintf("%s at %s on %s", s.Host, strings.Join(addresses, ", "), strings.Join(s.Interfaces, ", "))
}

func (l Location) equal(other Location) bool {
	return l.Serial == other.Serial && l.Settled == other.Settled && slices.EqualFunc(l.Boards, other.Boards, Satellite.equal)
}

// The limits of what a TXT record carries here.
const (
	mostSerial = 64
	mostText   = 120
)

// CheckSerial tells whether a text can be a serial number: 1 to 64 letters of
// ASCII, digits, '.', '_' and '-', as in a board's certificate.
func CheckSerial(serial string) error {
	if serial == "" {
		return errors.New("discovery: the serial number is empty")
	}
	if len(serial) > mostSerial {
		return fmt.Errorf("discovery: the serial number %.20q... has more than %d characters", serial, mostSerial)
	}
	if bad := strings.IndexFunc(serial, func(r rune) bool {
		letter := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}); bad >= 0 {
		return fmt.Errorf("discovery: the serial number %q has the character %q: letters, digits, '.', '_' and '-' are possible", serial, serial[bad])
	}
	return nil
}

// ParseInterfaces reads a list of interface names separated by commas, as the
// configuration keys announce_interfaces and discovery_interfaces have it. An
// empty text is no interface.
func ParseInterfaces(list string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			if strings.TrimSpace(list) == "" {
				return nil, nil
			}
			return nil, fmt.Errorf("discovery: the list of interfaces %q has an empty name", list)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, checkInterfaces(names)
}

func checkInterfaces(names []string) error {
	if len(names) == 0 {
		return errors.New("discovery: no interface is named")
	}
	for _, name := range names {
		if len(name) > 15 || name == "" || strings.ContainsAny(name, " /:\t\n") {
			return fmt.Errorf("discovery: %q cannot be the name of a network interface", name)
		}
	}
	return nil
}

// RFC 6762 section 10 recommends 120 s for records that name a host.
const timeToLive = 120 * time.Second
