package quickack

import (
	"net"
	"syscall"
)

// Wrap makes a TCP connection acknowledge at once. It leaves a connection alone that is not TCP or does not give its socket
// away.
func Wrap(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
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

type quickConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

// Read implements net.Conn. The kernel falls back to delayed acknowledgements by itself, hence the option after each read.
func (c *quickConn) Read(buffer []byte) (int, error) {
	n, err := c.TCPConn.Read(buffer)
	c.acknowledgeAtOnce()
	return n, err
}

func (c *quickConn) acknowledgeAtOnce() {
	// A refused option costs speed, nothing else.
	_ = c.raw.Control(func(descriptor uintptr) {
		_ = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
