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

// maxPacket is the size of the largest packet (RFC 6762 section 17).
const maxPacket = 9000

// packet is a packet that was sent to the group and received on one of the interfaces.
type packet struct {
	iface string
	from  netip.AddrPort
	data  []byte
}

// network holds the sockets of multicast DNS, and the named interfaces that are up. All but packets and changes belongs
// to one goroutine.
type network struct {
	names      []string
	log        *zap.Logger
	v4         *ipv4.PacketConn
	v6         *ipv6.PacketConn
	interfaces map[string]*networkInterface
	// namesByIndex is for the readers.
	namesByIndex atomic.Pointer[map[int]string]

	packets chan packet
	// changes receives a value when an interface or an address may have changed. It is nil where the system does not
	// report that.
	changes <-chan struct{}
	ended   chan struct{}
	closers []func()
	readers sync.WaitGroup
	// looked has the names of which was looked whether they exist.
	looked map[string]bool
}

// networkInterface is an interface that is up.
type networkInterface struct {
	index            int
	prefixes         []netip.Prefix
	joined4, joined6 bool
}

// openNetwork opens the sockets. It succeeds if one IP version can be used.
func openNetwork(names []string, log *zap.Logger) (*network, error) {
	n := &network{
		names: names, log: log, interfaces: map[string]*networkInterface{},
		packets: make(chan packet), ended: make(chan struct{}),
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
	n.namesByIndex.Store(&map[int]string{})
	if err4 == nil {
		n.readers.Go(n.read4)
	}
	if err6 == nil {
		n.readers.Go(n.read6)
	}
	return n, nil
}

// close closes the sockets and waits for the readers.
func (n *network) close() {
	close(n.ended)
	for _, closer := range n.closers {
		closer()
	}
	n.readers.Wait()
}

// refresh reads the interfaces and joins the group on those that have come up. It returns the names of those that are
// new or whose addresses changed, and of those that are gone.
func (n *network) refresh() (changed, gone []string) {
	namesByIndex := map[int]string{}
	for _, name := range n.names {
		before := n.interfaces[name]
		found, err := readInterface(name)
		n.warnMissing(name)
		if err != nil {
			if before != nil {
				delete(n.interfaces, name)
				changed = append(changed, name)
				if _, err := net.InterfaceByName(name); err != nil {
					gone = append(gone, name)
				}
				n.log.Info("interface is down", zap.String("interface", name), zap.Error(err))
			}
			continue
		}
		if before != nil && before.index == found.index {
			found.joined4, found.joined6 = before.joined4, before.joined6
		}
		if before == nil {
			n.log.Info("interface is up", zap.String("interface", name))
		}
		n.join(name, found)
		n.interfaces[name] = found
		namesByIndex[found.index] = name
		if before == nil || before.index != found.index || !slices.Equal(before.prefixes, found.prefixes) {
			changed = append(changed, name)
		}
	}
	n.namesByIndex.Store(&namesByIndex)
	return changed, gone
}

// warnMissing logs once where an interface does not exist: its name may be mistyped, or it may come later.
func (n *network) warnMissing(name string) {
	if n.looked == nil {
		n.looked = map[string]bool{}
	}
	if n.looked[name] {
		return
	}
	n.looked[name] = true
	if _, err := net.InterfaceByName(name); err == nil {
		return
	}
	var present []string
	all, _ := net.Interfaces() // the line is of use without them, too
	for _, one := range all {
		present = append(present, one.Name)
	}
	n.log.Warn("no such interface: it is used once it exists, unless its name is mistyped", zap.String("interface", name), zap.Strings("interfaces", present))
}

// readInterface returns an interface with its addresses. It fails while the interface is down.
func readInterface(name string) (*networkInterface, error) {
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
	up := &networkInterface{index: found.Index}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			up.prefixes = append(up.prefixes, prefix)
		}
	}
	return up, nil
}

// join joins the group on an interface that is not a member yet. Joining fails while the interface has no address of
// the IP version, and is tried again at the next change.
func (n *network) join(name string, i *networkInterface) {
	device := &net.Interface{Index: i.index, Name: name}
	if n.v4 != nil && !i.joined4 && i.has(netip.Addr.Is4) {
		err := n.v4.JoinGroup(device, group4)
		i.joined4 = err == nil || isMember(err) // an interface that was down is still a member
	}
	if n.v6 != nil && !i.joined6 && i.has(netip.Addr.Is6) {
		err := n.v6.JoinGroup(device, group6)
		i.joined6 = err == nil || isMember(err)
	}
}

func (i *networkInterface) has(version func(netip.Addr) bool) bool {
	return slices.ContainsFunc(i.prefixes, func(prefix netip.Prefix) bool { return version(prefix.Addr()) })
}

// addresses returns the addresses of an interface, without zone.
func (n *network) addresses(name string) []netip.Addr {
	i := n.interfaces[name]
	if i == nil {
		return nil
	}
	var addresses []netip.Addr
	for _, prefix := range i.prefixes {
		if address := prefix.Addr(); !address.IsLoopback() && !address.IsMulticast() {
			addresses = append(addresses, address.WithZone(""))
		}
	}
	return addresses
}

// isLocal reports whether an address is on the local network of an interface (RFC 6762 section 11).
func (n *network) isLocal(name string, address netip.Addr) bool {
	i := n.interfaces[name]
	return i != nil && slices.ContainsFunc(i.prefixes, func(prefix netip.Prefix) bool {
		return prefix.Masked().Contains(address.WithZone(""))
	})
}

// send sends packets. A failure is only logged: all of multicast DNS is sent again before long.
func (n *network) send(packets []outgoing) {
	deadline := time.Now().Add(time.Second)
	for _, p := range packets {
		i := n.interfaces[p.iface]
		if i == nil {
			continue
		}
		var err4, err6 error
		to4, to6 := group4, group6
		use4, use6 := i.joined4, i.joined6
		if p.to.IsValid() {
			to4 = net.UDPAddrFromAddrPort(p.to)
			to6 = to4
			use4, use6 = n.v4 != nil && p.to.Addr().Is4(), n.v6 != nil && p.to.Addr().Is6()
		}
		if use4 {
			n.v4.SetWriteDeadline(deadline)
			_, err4 = n.v4.WriteTo(p.data, &ipv4.ControlMessage{IfIndex: i.index}, to4)
		}
		if use6 {
			n.v6.SetWriteDeadline(deadline)
			_, err6 = n.v6.WriteTo(p.data, &ipv6.ControlMessage{IfIndex: i.index}, to6)
		}
		if err := errors.Join(err4, err6); err != nil {
			n.log.Debug("cannot send", zap.String("interface", p.iface), zap.Error(err))
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

// read hands over the packets that were sent to the group and received on one of the interfaces.
func (n *network) read(from func([]byte) (count, index int, to net.IP, source net.Addr, err error), group net.IP) {
	buffer := make([]byte, maxPacket)
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
		name := (*n.namesByIndex.Load())[index]
		address, isUDP := source.(*net.UDPAddr)
		if name == "" || !isUDP || !to.Equal(group) {
			continue
		}
		sender := address.AddrPort()
		sender = netip.AddrPortFrom(sender.Addr().Unmap(), sender.Port())
		select {
		case n.packets <- packet{name, sender, slices.Clone(buffer[:count])}:
		case <-n.ended:
			return
		}
	}
}
