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

// acknowledger asks TCP to acknowledge at once what has come. A peer that uses Nagle's algorithm, as rpclib does, holds its
// next message back until the last one is acknowledged, and TCP may delay that for 40 ms.
type acknowledger struct {
	raw syscall.RawConn
	set func(fd uintptr)
}

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
		// Best effort: without it the peer is slow, not wrong.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}}
}

// now acknowledges at once. It holds until TCP changes its mind, so it is to be repeated after each read. It may be called
// concurrently, and on nil.
func (a *acknowledger) now() {
	if a != nil {
		_ = a.raw.Control(a.set)
	}
}
