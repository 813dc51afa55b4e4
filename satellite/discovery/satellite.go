package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Satellite is what one board announces.
type Satellite struct {
	// Serial is the board's serial number. ModuleID and Version describe the board's agent module. They are empty if
	// the board does not announce them.
	Serial, ModuleID, Version string
	// Dialects are the dialects of the link that the agent speaks: legacy, v2.
	Dialects []string
	// ID distinguishes boards that announce the same serial number. It is a random number of the announcing process, or
	// the board's host name.
	ID string
	// Host is the board's multicast DNS host name.
	Host string
	// Addresses are the addresses of the agent. IPv4 comes before IPv6, and link-local addresses come last. The zone of
	// a link-local IPv6 address is the interface. Port is the TCP port at each address.
	Addresses []netip.Addr
	Port      int
	// Interfaces are this machine's interfaces on which the announcement was received.
	Interfaces []string
}

// Endpoints returns the addresses with the port, in the order in which they should be tried.
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

func (s Satellite) describe() string {
	var addresses []string
	for _, address := range s.Addresses {
		addresses = append(addresses, address.String())
	}
	return fmt.Sprintf("%s at %s on %s", s.Host, strings.Join(addresses, ", "), strings.Join(s.Interfaces, ", "))
}

// ParseInterfaces reads a list of interface names separated by commas: the configuration keys announce_interfaces and
// discovery_interfaces. An empty text is an empty list.
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
