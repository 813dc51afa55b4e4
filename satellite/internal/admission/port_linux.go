package admission

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// port is a listener whose system keeps two queues of connections that nobody has accepted yet: one for the link's peer, one
// for everybody else. Strangers that come faster than they can be accepted fill theirs, and the system then drops the
// beginnings of further connections, for seconds each.
//
// Both are sockets of one address. A filter, which the system runs for each new connection, chooses one by the source address.
type port struct {
	strangers, peer *net.TCPListener
	// accepted has what both listeners accept.
	fromPeer, fromStrangers chan accepted
	closed                  chan struct{}
	once                    sync.Once
	running                 sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

func init() { listen = listenPreferring }

// listenPreferring opens a port. Where the system cannot keep two queues, it has one.
func listenPreferring(address, peer string) (net.Listener, error) {
	// The first socket does not share the address, so nobody else has it. Only then may the second one come.
	strangers, err := listenOnce(address)
	if err != nil {
		return nil, err
	}
	opened, err := secondQueue(strangers.(*net.TCPListener), peer)
	if err != nil {
		return strangers, nil
	}
	return opened, nil
}

// secondQueue returns a port whose queue of strangers is that of a listener.
func secondQueue(strangers *net.TCPListener, peer string) (*port, error) {
	raw, err := strangers.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := share(raw, 1); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return share(raw, 1) }}
	config.SetMultipathTCP(false) // whose sockets take no filter
	second, err := config.Listen(context.Background(), "tcp", strangers.Addr().String())
	if err != nil {
		return nil, errors.Join(err, share(raw, 0))
	}
	p := &port{
		strangers: strangers, peer: second.(*net.TCPListener),
		fromPeer: make(chan accepted), fromStrangers: make(chan accepted), closed: make(chan struct{}),
	}
	if err := p.prefer(peer); err != nil {
		return nil, errors.Join(err, second.Close(), share(raw, 0))
	}
	p.running.Go(func() { p.accept(p.strangers, p.fromStrangers) })
	p.running.Go(func() { p.accept(p.peer, p.fromPeer) })
	return p, nil
}

// SyscallConn returns both sockets, for their options.
func (p *port) SyscallConn() (syscall.RawConn, error) {
	strangers, err := p.strangers.SyscallConn()
	if err != nil {
		return nil, err
	}
	peer, err := p.peer.SyscallConn()
	return sockets{strangers, peer}, err
}

// sockets are several sockets whose options are the same.
type sockets []syscall.RawConn

func (s sockets) Control(set func(socket uintptr)) error {
	for _, raw := range s {
		if err := raw.Control(set); err != nil {
			return err
		}
	}
	return nil
}

func (sockets) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (sockets) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// share lets further sockets of this user have the address of a socket, or ends that.
func share(raw syscall.RawConn, on int) error {
	return setOption(raw, func(socket int) error { return unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEPORT, on) })
}

// prefer gives the queue of the peer to a host.
func (p *port) prefer(host string) error {
	raw, err := p.strangers.SyscallConn()
	if err != nil {
		return err
	}
	filter := choice(host)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	return setOption(raw, func(socket int) error {
		if err := unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program); err != nil {
			return fmt.Errorf("attach the filter of the port: %w", err)
		}
		return nil
	})
}

func setOption(raw syscall.RawConn, set func(socket int) error) error {
	var failed error
	err := raw.Control(func(socket uintptr) { failed = set(int(socket)) })
	return errors.Join(err, failed)
}

// The sockets of a port in the order in which they were opened.
const (
	socketOfStrangers = 0
	socketOfPeer      = 1
)

// choice returns a program that returns which socket gets a connection.
func choice(host string) []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		// header is where the packet's IP header begins.
		header = -0x100000
	)
	returns := func(socket uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: socket}
	}
	at := func(offset int) uint32 { return uint32(int32(header + offset)) }
	address, err := netip.ParseAddr(host)
	if err != nil {
		return []unix.SockFilter{returns(socketOfStrangers)}
	}
	version, source := uint32(4), 12
	if address = address.Unmap(); address.Is6() {
		version, source = 6, 8
	}
	bytes := address.AsSlice()
	words := len(bytes) / 4
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: at(0)},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 4},
		// What is not equal jumps to the last instruction.
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: version, Jf: uint8(2*words + 1)},
	}
	for i := range words {
		word := uint32(bytes[4*i])<<24 | uint32(bytes[4*i+1])<<16 | uint32(bytes[4*i+2])<<8 | uint32(bytes[4*i+3])
		program = append(program, unix.SockFilter{Code: load, K: at(source + 4*i)},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: word, Jf: uint8(2*(words-i-1) + 1)})
	}
	return append(program, returns(socketOfPeer), returns(socketOfStrangers))
}

func (p *port) accept(from net.Listener, to chan<- accepted) {
	for {
		conn, err := from.Accept()
		select {
		case to <- accepted{conn, err}:
		case <-p.closed:
			if err == nil {
				conn.Close()
			}
			return
		}
	}
}

// Accept returns a connection of the peer before any other.
func (p *port) Accept() (net.Conn, error) {
	select {
	case next := <-p.fromPeer:
		return next.conn, next.err
	default:
	}
	select {
	case next := <-p.fromPeer:
		return next.conn, next.err
	case next := <-p.fromStrangers:
		return next.conn, next.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *port) Addr() net.Addr { return p.strangers.Addr() }

// Close may be called more than once.
func (p *port) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closed)
		err = errors.Join(p.strangers.Close(), p.peer.Close())
	})
	p.running.Wait()
	return err
}
