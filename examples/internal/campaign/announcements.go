//go:build linux

package campaign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// This file is multicast DNS between the boards: what passes the agent's announcements on, and strangers that invent some.

// Announced is a start of the main board, and a fault of its link, among strangers that announce satellites that there are
// not. In that life the main board looks for its satellite by its serial number.
const Announced Kind = "invented announcements"

// way is how the main board of a life gets to its satellite.
type way int32

const (
	forwarded  way = iota // at the forwarder's address
	direct                // at the satellite's address
	discovered            // by its serial number, at the forwarder
)

func (c *campaign) hostname() string {
	switch way(c.way.Load()) {
	case direct:
		return portAddress
	case discovered:
		return "serial:" + c.port.name
	}
	return routerToMain
}

const groupAddress = "224.0.0.251:5353"

// groupSocket returns a socket of the router that sends to and receives from the group of multicast DNS on one cable.
func (n *network) groupSocket(cable, host string) (conn net.PacketConn, err error) {
	err = n.router.do(func() error {
		config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (failed error) {
			err := raw.Control(func(descriptor uintptr) {
				failed = errors.Join(unix.SetsockoptInt(int(descriptor), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
					unix.SetsockoptInt(int(descriptor), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0), unix.BindToDevice(int(descriptor), cable))
			})
			return errors.Join(err, failed)
		}}
		if conn, err = config.ListenPacket(context.Background(), "udp4", net.JoinHostPort(host, "5353")); err != nil {
			return err
		}
		on, err := net.InterfaceByName(cable)
		if err != nil {
			return err
		}
		group := ipv4.NewPacketConn(conn)
		return errors.Join(group.JoinGroup(on, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251)}), group.SetMulticastInterface(on),
			group.SetMulticastLoopback(false), group.SetMulticastTTL(255))
	})
	if err != nil && conn != nil {
		conn.Close()
	}
	return conn, err
}

var toGroup = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(groupAddress))

// reflect passes what is sent to the group on one cable on to the other. The main board gets the forwarder's address in place
// of the satellite's. The caller must call stop.
func (n *network) reflect() (stop func(), err error) {
	toMain, err := n.groupSocket("main", "0.0.0.0")
	if err != nil {
		return nil, err
	}
	toPort, err := n.groupSocket("satellite", "0.0.0.0")
	if err != nil {
		toMain.Close()
		return nil, err
	}
	var running sync.WaitGroup
	pass := func(from, to net.PacketConn) {
		buffer := make([]byte, 9000)
		for {
			count, _, err := from.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var message dnsmessage.Message
			if err != nil || message.Unpack(buffer[:count]) != nil {
				continue
			}
			for _, records := range [][]dnsmessage.Resource{message.Answers, message.Additionals} {
				for _, record := range records {
					if address, ok := record.Body.(*dnsmessage.AResource); ok && netip.AddrFrom4(address.A).String() == portAddress {
						address.A = netip.MustParseAddr(routerToMain).As4()
					}
				}
			}
			if packet, err := message.Pack(); err == nil {
				_, _ = to.WriteTo(packet, toGroup) // fails while the cable is pulled
			}
		}
	}
	running.Go(func() { pass(toMain, toPort) })
	running.Go(func() { pass(toPort, toMain) })
	return func() {
		toMain.Close()
		toPort.Close()
		running.Wait()
	}, nil
}

const (
	// announcerCount is how many machines of strangers there are on the main board's network.
	announcerCount = 20
	// inventedCount is how many satellites of one serial number they invent.
	inventedCount = 40
	// inventPause is the time between two announcements.
	inventPause = 2 * time.Millisecond
)

func announcerHost(number int) string { return fmt.Sprintf("10.77.1.%d", 100+number) }

// addAnnouncers gives the router the addresses of strangers on the main board's network. One of them takes connections and
// says nothing, the others refuse them.
func (n *network) addAnnouncers() (silent net.Listener, err error) {
	for number := range announcerCount {
		if err := run("ip", "-n", n.router.name, "address", "add", announcerHost(number)+"/24", "dev", "main"); err != nil {
			return nil, err
		}
	}
	err = n.router.do(func() (err error) {
		silent, err = net.Listen("tcp4", net.JoinHostPort(announcerHost(0), agentPort))
		return err
	})
	return silent, err
}

// invented is a satellite that there is not.
type invented struct{ serial, id, address string }

// announcement returns what announces it, or with a TTL of 0 takes that back.
func (i invented) announcement(ttl uint32) []byte {
	service, instance, host := "_evsatellite._tcp.local.", i.id+"._evsatellite._tcp.local.", i.id+".local."
	header := func(of string) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(of), Class: dnsmessage.ClassINET, TTL: ttl}
	}
	message := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: []dnsmessage.Resource{
		{Header: header(service), Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(instance)}},
		{Header: header(instance), Body: &dnsmessage.SRVResource{Port: 4129, Target: dnsmessage.MustNewName(host)}},
		{Header: header(instance), Body: &dnsmessage.TXTResource{TXT: []string{"serial=" + i.serial, "id=" + i.id}}},
		{Header: header(host), Body: &dnsmessage.AResource{A: netip.MustParseAddr(i.address).As4()}},
	}}
	packet, err := message.Pack()
	if err != nil {
		panic(err) // a name of this file is wrong
	}
	return packet
}

// announcers are the strangers' sockets.
type announcers []net.PacketConn

func (c *campaign) announcers() (a announcers, err error) {
	for number := range announcerCount {
		conn, err := c.network.groupSocket("main", announcerHost(number))
		if err != nil {
			a.close()
			return nil, err
		}
		a = append(a, conn)
	}
	return a, nil
}

func (a announcers) close() {
	for _, conn := range a {
		conn.Close()
	}
}

// say sends the announcement of a satellite from the machine of that number.
func (a announcers) say(number int, of invented, ttl uint32) {
	_, _ = a[number%len(a)].WriteTo(of.announcement(ttl), toGroup) // fails while the cable is pulled
}

// invent announces satellites without end: each of a serial number of its own, and with serial in turns with inventedCount ones
// of that number. end ends that, and takes the ones with the number back.
func (a announcers) invent(serial string) (end func()) {
	var same []invented
	for i := range inventedCount {
		same = append(same, invented{serial, rand.Text(), announcerHost(i % announcerCount)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if at := i / 2; serial != "" && i%2 == 0 {
				a.say(at, same[at%inventedCount], 120)
			} else {
				a.say(at, invented{rand.Text(), rand.Text(), announcerHost(at % announcerCount)}, 4500)
			}
			time.Sleep(inventPause)
		}
	})
	return func() {
		cancel()
		sending.Wait()
		for i := range same {
			if serial != "" {
				a.say(i, same[i], 0)
			}
		}
	}
}

// announced restarts the main board, and then makes a fault of the link, while strangers announce. Where boards prove their
// serial number the strangers have it, too, all the time. On a plain link it keeps the controller from new connections, but not
// from the one that stands: so they have it when the link stands.
func (c *campaign) announced(ctx context.Context, fault Fault) (Outcome, error) {
	strangers, err := c.announcers()
	if err != nil {
		return Outcome{}, err
	}
	defer strangers.close()
	serial := ""
	if c.flags.Secure {
		serial = c.port.name
	}
	end := strangers.invent(serial)
	outcome, err := c.kill(ctx, Fault{Kind: fault.Kind})
	end()
	if err != nil {
		return outcome, err
	}
	before, err := c.main.status(ctx)
	if err != nil {
		return outcome, err
	}
	if err := c.rememberAll(); err != nil {
		return outcome, err
	}
	end = strangers.invent(c.port.name)
	defer func() { end() }()
	search := "ambiguous"
	if c.flags.Secure {
		search = "found"
	}
	if err := c.awaitSearch(ctx, search); err != nil {
		return outcome, err
	}
	among := fault
	among.Kind = []Kind{Cut, Stall, MainPulled, PortPulled, PortLinkDown, StopController}[fault.Pick%6]
	c.line("campaign: " + string(among.Kind) + " begins among announcements")
	heal, err := c.begin(ctx, among)
	if err != nil {
		return outcome, err
	}
	_ = recording.Sleep(ctx, among.For)
	if err := heal(); err != nil {
		return outcome, err
	}
	if err := c.atWork(ctx, c.marks()); err != nil {
		return outcome, fmt.Errorf("%s: %w", among.Kind, err)
	}
	end()
	end = func() {}
	if err := c.awaitSearch(ctx, "found"); err != nil {
		return outcome, err
	}
	after, err := c.main.status(ctx)
	if err == nil {
		outcome.Resumes = int(after.Resumes - before.Resumes)
		if outcome.Resumes == 0 && among.Kind == Cut {
			return outcome, errors.New("the link was not cut")
		}
		err = c.checkJournal(ctx)
	}
	return outcome, err
}

// awaitSearch waits until the controller's search for its satellite has come to that state.
func (c *campaign) awaitSearch(ctx context.Context, state string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoveryLimit, errTooLong)
	defer cancel()
	for {
		status, err := c.main.status(ctx)
		if err != nil || status.Discovery == state {
			return err
		}
		if recording.Sleep(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("the satellite is %s, not %s: %w", status.Discovery, state, context.Cause(ctx))
		}
	}
}
