package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Multicast DNS as RFC 6762 section 3 has it.
const groupPort = 5353

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: groupPort}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: groupPort}
)

// mostPacket is the largest packet of multicast DNS (RFC 6762 section 17).
const mostPacket = 9000

// heard is a packet that came to the group on one of the interfaces.
type heard struct {
	network string
	from    netip.AddrPort
	packet  []byte
}

// network is the sockets of multicast DNS, and those interfaces of the named ones
// that are up. All but packets and changes belongs to one goroutine.
type network struct {
	names []string
	log   *zap.Logger
	v4    *ipv4.PacketConn
	v6    *ipv6.PacketConn
	links map[string]*netLink
	// known are the names by index, for the readers.
	known atomic.Pointer[map[int]string]

	packets chan heard
	// changes tells that an interface or an address may have changed; nil where
	// the system does not say so.
	changes <-chan struct{}
	ended   chan struct{}
	closers []func()
	readers sync.WaitGroup
}

// netLink is an interface that is up.
type netLink struct {
	index            int
	prefixes         []netip.Prefix
	joined4, joined6 bool
}

// openNetwork opens the sockets. One IP version is enough.
func openNetwork(names []string, log *zap.Logger) (*network, error) {
	n := &network{
		names: names, log: log, links: map[string]*netLink{},
		packets: make(chan heard), ended: make(chan struct{}),
	}
	config := net.ListenConfig{Control: shareGroupPort}
	conn4, err4 := config.ListenPacket(context.Background(), "udp4", "0.0.0.0:5353")
	if err4 == nil {
		n.v4 = ipv4.NewPacketConn(conn4)
		n.closers = append(n.closers, func() { conn4.Close() })
		err4 = errors.Join(n.v4.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true), n.v4.SetMulticastTTL(255), n.v4.SetTTL(255))
	}
	conn6, err6 := config.ListenPacket(context.Background(), "udp6", "[::]:5353")
	if err6 == nil {
		n.v6 = ipv6.NewPacketConn(conn6)
		n.closers = append(n.closers, func() { conn6.Close() })
		err6 = errors.Join(n.v6.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true), n.v6.SetMulticastHopLimit(255), n.v6.SetHopLimit(255))
	}
	if err4 != nil && err6 != nil {
		n.close()
		return nil, fmt.Errorf("discovery: cannot open the multicast DNS port %d: %w", groupPort, errors.Join(err4, err6))
	}
	if changes, closeChanges, err := watchInterfaces(); err != nil {
		log.Info("changes of interfaces are noticed late", zap.Error(err))
	} else {
		n.changes = changes
		n.closers = append(n.closers, closeChanges)
	}
	n.known.Store(&map[int]string{})
	if err4 == nil {
		n.readers.Go(n.read4)
	}
	if err6 == nil {
		n.readers.Go(n.read6)
	}
	return n, nil
}

// close ends sockets and readers.
func (n *network) close() {
	close(n.ended)
	for _, closer := range n.closers {
		closer()
	}
	n.readers.Wait()
}

// refresh looks at the interfaces, joins the group on those that have come up,
// and returns the names of those that are new or have other addresses than
// before, and of those that are gone.
func (n *network) refresh() (changed, gone []string) {
	known := map[int]string{}
	for _, name := range n.names {
		before := n.links[name]
		link, err := lookAt(name)
		if err != nil {
			if before != nil {
				delete(n.links, name)
				changed = append(changed, name)
				if _, err := net.InterfaceByName(name); err != nil {
					gone = append(gone, name)
				}
				n.log.Info("interface is down", zap.String("interface", name), zap.Error(err))
			}
			continue
		}
		if before != nil && before.index == link.index {
			link.joined4, link.joined6 = before.joined4, before.joined6
		}
		if before == nil {
			n.log.Info("interface is up", zap.String("interface", name))
		}
		n.join(name, link)
		n.links[name] = link
		known[link.index] = name
		if before == nil || before.index != link.index || !slices.Equal(before.prefixes, link.prefixes) {
			changed = append(changed, name)
		}
	}
	n.known.Store(&known)
	return changed, gone
}

// lookAt returns an interface that is up, with its addresses.
func lookAt(name string) (*netLink, error) {
	found, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	if found.Flags&net.FlagUp == 0 || found.Flags&net.FlagRunning == 0 {
		return nil, errors.New("it has no link")
	}
	addresses, err := found.Addrs()
	if err != nil {
		return nil, err
	}
	link := &netLink{index: found.Index}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			link.prefixes = append(link.prefixes, prefix)
		}
	}
	return link, nil
}

// join joins the group where that was not done yet. It fails while an interface
// has no address of the version, and is tried again at the next change.
func (n *network) join(name string, link *netLink) {
	// An interface that went down and up again is still a member.
	device := &net.Interface{Index: link.index, Name: name}
	if n.v4 != nil && !link.joined4 && link.has(netip.Addr.Is4) {
		err := n.v4.JoinGroup(device, group4)
		link.joined4 = err == nil || isMember(err)
	}
	if n.v6 != nil && !link.joined6 && link.has(netip.Addr.Is6) {
		err := n.v6.JoinGroup(device, group6)
		link.joined6 = err == nil || isMember(err)
	}
}

func (l *netLink) has(version func(netip.Addr) bool) bool {
	return slices.ContainsFunc(l.prefixes, func(prefix netip.Prefix) bool { return version(prefix.Addr()) })
}

// addresses are those of an interface, without zone.
func (n *network) addresses(name string) []netip.Addr {
	link := n.links[name]
	if link == nil {
		return nil
	}
	var addresses []netip.Addr
	for _, prefix := range link.prefixes {
		if address := prefix.Addr(); !address.IsLoopback() && !address.IsMulticast() {
			addresses = append(addresses, address.WithZone(""))
		}
	}
	return addresses
}

// onLink tells whether an address belongs to the network of an interface.
func (n *network) onLink(name string, address netip.Addr) bool {
	link := n.links[name]
	return link != nil && slices.ContainsFunc(link.prefixes, func(prefix netip.Prefix) bool {
		return prefix.Masked().Contains(address.WithZone(""))
	})
}

// send sends packets. What cannot be sent is sent again before long, as all of
// multicast DNS is.
func (n *network) send(packets []outgoing) {
	deadline := time.Now().Add(time.Second)
	for _, p := range packets {
		link := n.links[p.network]
		if link == nil {
			continue
		}
		var err4, err6 error
		if p.to.IsValid() {
			to := net.UDPAddrFromAddrPort(p.to)
			switch {
			case p.to.Addr().Is4() && n.v4 != nil:
				n.v4.SetWriteDeadline(deadline)
				_, err4 = n.v4.WriteTo(p.packet, &ipv4.ControlMessage{IfIndex: link.index}, to)
			case p.to.Addr().Is6() && n.v6 != nil:
				n.v6.SetWriteDeadline(deadline)
				_, err6 = n.v6.WriteTo(p.packet, &ipv6.ControlMessage{IfIndex: link.index}, to)
			}
		} else {
			if link.joined4 {
				n.v4.SetWriteDeadline(deadline)
				_, err4 = n.v4.WriteTo(p.packet, &ipv4.ControlMessage{IfIndex: link.index}, group4)
			}
			if link.joined6 {
				n.v6.SetWriteDeadline(deadline)
				_, err6 = n.v6.WriteTo(p.packet, &ipv6.ControlMessage{IfIndex: link.index}, group6)
			}
		}
		if err := errors.Join(err4, err6); err != nil {
			n.log.Debug("cannot send", zap.String("interface", p.network), zap.Error(err))
		}
	}
}

func (n *network) read4() {
	n.read(func(buffer []byte) (int, int, net.IP, net.Addr, error) {
		count, control, from, err := n.v4.ReadFrom(buffer)
		if control == nil {
			return count, 0, nil, from, err
		}
		return count, control.IfIndex, control.Dst, from, err
	}, group4.IP)
}

func (n *network) read6() {
	n.read(func(buffer []byte) (int, int, net.IP, net.Addr, error) {
		count, control, from, err := n.v6.ReadFrom(buffer)
		if control == nil {
			return count, 0, nil, from, err
		}
		return count, control.IfIndex, control.Dst, from, err
	}, group6.IP)
}

// read passes on what came to the group on an interface of the network.
func (n *network) read(from func([]byte) (count, index int, to net.IP, source net.Addr, err error), group net.IP) {
	buffer := make([]byte, mostPacket)
	for {
		count, index, to, source, err := from(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // an interface that goes down may fail a read, but not for long
			case <-time.After(100 * time.Millisecond):
				continue
			case <-n.ended:
				return
			}
		}
		name := (*n.known.Load())[index]
		address, isUDP := source.(*net.UDPAddr)
		if name == "" || !isUDP || !to.Equal(group) {
			continue
		}
		sender := address.AddrPort()
		sender = netip.AddrPortFrom(sender.Addr().Unmap(), sender.Port())
		select {
		case n.packets <- heard{name, sender, slices.Clone(buffer[:count])}:
		case <-n.ended:
			return
		}
	}
}
