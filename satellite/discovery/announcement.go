package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Announcement describes the satellite that [Announce] announces.
type Announcement struct {
	// Serial is the board's serial number: see [identity.CheckSerial].
	Serial string
	// ModuleID, Version and Dialects are for people and tools. They may be empty. Each is cut after 120 bytes.
	ModuleID, Version string
	Dialects          []string
	// Port is the agent's TCP port. Address is the only address to announce. Where Address is not set, or is
	// unspecified, every address of the interfaces is announced.
	Port    int
	Address netip.Addr
	// Interfaces are the names of the interfaces on which to announce the satellite. At least one is needed. An
	// interface that does not exist yet is used once it comes up.
	Interfaces []string
	// Logger receives the log. Where Logger is nil, nothing is logged.
	Logger *zap.Logger
}

// Check returns the error that [Announce] would return at once.
func (a Announcement) Check() error {
	if err := identity.CheckSerial(a.Serial); err != nil {
		return err
	}
	if a.Port < 1 || a.Port > 65535 {
		return fmt.Errorf("discovery: port %d: it must be 1 to 65535", a.Port)
	}
	if a.Address.IsLoopback() {
		return fmt.Errorf("discovery: %s cannot be reached from another board, so it cannot be announced", a.Address)
	}
	return checkInterfaces(a.Interfaces)
}

// Announce announces a satellite until the context ends, then sends a goodbye and returns nil. It returns an error at
// once where the announcement is not valid. Any later failure, such as a missing interface or a port of multicast DNS
// in use, is logged, and Announce retries.
func Announce(ctx context.Context, a Announcement) error {
	if err := a.Check(); err != nil {
		return err
	}
	// RFC 6762 section 6: a response to a shared name waits 20 to 120 ms.
	r := newResponder(a, func() time.Duration { return time.Duration(20+rand.IntN(100)) * time.Millisecond })
	withNetwork(ctx, a.Interfaces, loggerOf(a.Logger, "announce"), func(n *network) {
		refresh := func() {
			n.refresh()
			for _, name := range a.Interfaces {
				addresses := n.addresses(name)
				if a.Address.IsValid() && !a.Address.IsUnspecified() {
					addresses = slices.DeleteFunc(addresses, func(address netip.Addr) bool { return address != a.Address.WithZone("").Unmap() })
				}
				r.setAddresses(time.Now(), name, addresses)
			}
		}
		receive := func(p packet) {
			m, err := parse(p.data)
			if err != nil || m.response || !n.isLocal(p.iface, p.from.Addr()) {
				return
			}
			n.send(r.receive(time.Now(), p.iface, p.from, m))
		}
		n.run(ctx, loop{refresh: refresh, receive: receive, next: r.next, work: func() { n.send(r.send(time.Now())) }})
		n.send(r.goodbye())
	})
	return nil
}

func loggerOf(log *zap.Logger, name string) *zap.Logger {
	if log == nil {
		return zap.NewNop()
	}
	return log.Named("discovery").Named(name)
}
