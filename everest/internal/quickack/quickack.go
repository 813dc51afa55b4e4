// Package quickack makes TCP connections that acknowledge at once what they receive.
//
// A broker with Nagle's algorithm, the default of mosquitto, holds the second of two small packets back until the first
// is acknowledged. A receiver that delays its acknowledgements so makes every QoS 1 or 2 exchange some 40 ms long. The
// option of Linux against that is set again after every read. On other systems connections stay as they are.
package quickack

import (
	"context"
	"net"
	"runtime"
	"syscall"
)

// Dial is net.Dialer's DialContext. A TCP connection acknowledges at once.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return Wrap(conn), nil
}

// Wrap makes a TCP connection acknowledge at once. It returns any other connection unchanged.
func Wrap(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || runtime.GOOS != "linux" {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	quick := &quickConn{TCPConn: tcp, raw: raw}
	quick.acknowledgeAtOnce()
	return quick
}

// quickAck is Linux's TCP_QUICKACK, which package syscall defines on Linux only.
const quickAck = 12

type quickConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

// Read implements net.Conn. It sets the option again, because the kernel resets it by itself.
func (c *quickConn) Read(buffer []byte) (int, error) {
	n, err := c.TCPConn.Read(buffer)
	c.acknowledgeAtOnce()
	return n, err
}

func (c *quickConn) acknowledgeAtOnce() {
	// A connection without the option is slower, nothing else.
	_ = c.raw.Control(func(descriptor uintptr) {
		_ = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, quickAck, 1)
	})
}
