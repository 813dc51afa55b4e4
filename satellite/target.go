package satellite

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// serialPrefix marks a hostname that is a serial number.
const serialPrefix = "serial:"

// target is what the configuration key hostname names: a host or a serial number.
type target struct {
	// host is an address, with its zone and without brackets, or a name.
	host   string
	port   int
	serial string
}

// parseTarget reads the configuration keys hostname and port.
func parseTarget(hostname string, port int) (target, error) {
	if hostname == "" {
		return target{}, errors.New("satellite: the configuration key hostname is empty: it must name the satellite board")
	}
	if serial, found := strings.CutPrefix(hostname, serialPrefix); found {
		if err := identity.CheckSerial(serial); err != nil {
			return target{}, fmt.Errorf("satellite: the configuration key hostname is %q: %w", hostname, err)
		}
		return target{serial: serial, port: port}, nil
	}
	host, bracketed := strings.CutPrefix(hostname, "[")
	if bracketed {
		inner, closed := strings.CutSuffix(host, "]")
		if address, err := netip.ParseAddr(inner); !closed || err != nil || !address.Is6() {
			return target{}, fmt.Errorf("satellite: the configuration key hostname is %q: within brackets belongs an IPv6 address, "+
				"and a port belongs in the key port", hostname)
		}
		return target{host: inner, port: port}, nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return target{host: host, port: port}, nil
	}
	if strings.ContainsAny(host, ":[]%/ \t") {
		return target{}, fmt.Errorf("satellite: the configuration key hostname is %q, which is not an IP address, a name or serial:<number>; "+
			"a port belongs in the key port", hostname)
	}
	return target{host: host, port: port}, nil
}

// String names the target in logs. A host has the form that can be dialled.
func (t target) String() string {
	if t.serial != "" {
		return serialPrefix + t.serial
	}
	return net.JoinHostPort(t.host, strconv.Itoa(t.port))
}
