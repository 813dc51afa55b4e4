package rpc

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout bounds how long sent data may stay unacknowledged before TCP gives the connection up.
func setUserTimeout(conn *net.TCPConn, timeout time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

// unacknowledged returns how long the peer's host has acknowledged nothing, while bytes or keep-alive probes wait for
// that. It returns 0 where none do, and for a connection that is not TCP.
func unacknowledged(conn *net.TCPConn) time.Duration {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	var silent time.Duration
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && (info.Unacked > 0 || info.Probes > 0) {
			silent = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return silent
}

// flow returns what the kernel has moved on a connection.
func flow(conn *net.TCPConn) Flow {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Flow{}
	}
	var seen Flow
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		seen = Flow{
			Received: info.Bytes_received, Acknowledged: info.Bytes_acked, Waiting: info.Unacked > 0 || info.Notsent_bytes > 0,
		}
		seen.Stuck = info.Unacked > 0 && info.Retransmits > 0
		// An older kernel counts no Bytes_sent.
		full := info.Bytes_sent >= info.Bytes_retrans+info.Bytes_acked+uint64(info.Snd_mss)
		seen.Swallowed = seen.Stuck && (full || info.Sacked > 0)
	})
	return seen
}

// allowFragments clears the flag "don't fragment" of further IPv4 packets, also of those that are sent again.
func allowFragments(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// It fails for IPv6, where no router fragments.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	})
}

// limitSegments limits the segments of a socket that is not connected, and announces the limit to the peer.
func limitSegments(raw syscall.RawConn, size int) error {
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, size)
	}); err != nil {
		return err
	}
	return failed
}

// silent reports whether the peer has sent nothing yet, whether it was read or not.
func silent(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		nothing = err == nil && info.Bytes_received == 0
	})
	return nothing
}

// acknowledger makes TCP acknowledge received data at once. A peer that uses Nagle's algorithm, as rpclib does, holds
// its next message back until the last one is acknowledged, and TCP may delay the acknowledgement by 40 ms.
type acknowledger struct {
	raw syscall.RawConn
	set func(fd uintptr)
}

// newAcknowledger returns nil for a connection that is not TCP.
func newAcknowledger(conn net.Conn) *acknowledger {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return &acknowledger{raw: raw, set: func(fd uintptr) {
		// Best effort: without the option the peer is slow, not wrong.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}}
}

// now acknowledges at once. TCP switches the option off by itself, so callers repeat the call after each read. It may
// be called concurrently, and on nil.
func (a *acknowledger) now() {
	if a != nil {
		_ = a.raw.Control(a.set)
	}
}

// maxDirectBuffers is how many buffers one call of directWriter.write takes.
const maxDirectBuffers = 64

// directWriter writes to a socket without waiting. It is for one goroutine at a time.
type directWriter struct {
	raw     syscall.RawConn
	try     func(fd uintptr) bool
	buffers [][]byte
	n       int
	err     error
}

// newDirectWriter returns nil for a connection other than a plain socket.
func newDirectWriter(conn net.Conn) *directWriter {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	d := &directWriter{raw: raw}
	d.try = d.writeOnce
	return d
}

// write returns how many bytes of the buffers the socket has taken, which may be none. There must be maxDirectBuffers
// of them at most.
func (d *directWriter) write(buffers [][]byte) (int, error) {
	d.buffers, d.n, d.err = buffers, 0, nil
	err := d.raw.Write(d.try)
	d.buffers = nil
	if err == nil {
		err = d.err
	}
	return d.n, err
}

// writeOnce always reports that it is done: false would make it wait for the socket.
func (d *directWriter) writeOnce(fd uintptr) bool {
	for {
		n, err := writeBuffers(int(fd), d.buffers)
		switch err {
		case nil:
			d.n = n
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			d.err = err
		}
		return true
	}
}

func writeBuffers(fd int, buffers [][]byte) (int, error) {
	if len(buffers) == 1 {
		return syscall.Write(fd, buffers[0])
	}
	return unix.Writev(fd, buffers)
}
