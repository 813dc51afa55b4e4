package hostile

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Strangers are connections to a port of those who do not belong to the station. Each is held open, and comes again when
// the port has ended it.
type Strangers struct {
	// Address is the port.
	Address string
	// Count is how many connections there are at once.
	Count int
	// Say returns what the connection of that number sends first; nil for silent ones.
	Say func(number int) []byte
	// Dial replaces net.Dialer.DialContext.
	Dial func(ctx context.Context, dialer *net.Dialer, address string) (net.Conn, error)
	// Hosts are the addresses from which they come.
	Hosts []string

	opened atomic.Int64
}

// Opened is how many connections were opened.
func (s *Strangers) Opened() int { return int(s.opened.Load()) }

// Run holds the connections until the context ends.
func (s *Strangers) Run(ctx context.Context) {
	var holding sync.WaitGroup
	for number := range s.Count {
		holding.Go(func() {
			for ctx.Err() == nil {
				s.hold(ctx, number)
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		})
	}
	holding.Wait()
}

func (s *Strangers) hold(ctx context.Context, number int) {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1}
	if len(s.Hosts) > 0 {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.Hosts[number%len(s.Hosts)])}
		// The system chooses the port when it knows the other end: each address then has all ports for it.
		dialer.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1) })
		}
	}
	dial := s.Dial
	if dial == nil {
		dial = func(ctx context.Context, dialer *net.Dialer, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	conn, err := dial(ctx, dialer, s.Address)
	if err != nil {
		return
	}
	defer conn.Close()
	s.opened.Add(1)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if s.Say != nil {
		if _, err := conn.Write(s.Say(number)); err != nil {
			return
		}
	}
	rest := make([]byte, 64)
	for {
		if _, err := conn.Read(rest); err != nil {
			return
		}
	}
}

var encodedOne = number(1)

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of Linux.
const bindAddressNoPort = 24

// Noise is what strangers say of everything that a port may hear: calls of the link, HTTP, the beginning of a TLS handshake,
// messages that never end, and bytes at random.
func Noise(which int) []byte {
	call := func(method string, arguments ...[]byte) []byte {
		return append(append([]byte{0x94, 0, 1}, text(method)...), array(arguments...)...)
	}
	switch which % 7 {
	case 0:
		return call("link_ping")
	case 1:
		return []byte("GET / HTTP/1.1\r\nHost: charger\r\n\r\n")
	case 2:
		return []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}
	case 3:
		return append([]byte{0x94, 0, 1, 0xdb, 0, 0x0f, 0x42, 0x40}, make([]byte, 10_000)...)
	case 4:
		return append(arrayHead(int64(1<<31)), make([]byte, 1000)...)
	case 5:
		return call("link_events", encodedOne, encodedOne, encodedOne, encodedOne, encodedOne)
	}
	return fmt.Appendf(nil, "\xc1%d\xff", which)
}
