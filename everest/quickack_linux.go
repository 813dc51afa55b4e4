package everest

import (
	"io"
	"net"
	"syscall"
)

// promptReader reads from a connection and has the kernel acknowledge at once. The kernel forgets the setting after a
// while, so it is made again after every read.
func promptReader(conn net.Conn) io.Reader {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	reader := &quickAckReader{conn: tcp, raw: raw}
	reader.arm()
	return reader
}

type quickAckReader struct {
	conn *net.TCPConn
	raw  syscall.RawConn
}

func (r *quickAckReader) Read(p []byte) (int, error) {
	n, err := r.conn.Read(p)
	r.arm()
	return n, err
}

// arm ignores errors: without the option the connection is slower and nothing else.
func (r *quickAckReader) arm() {
	_ = r.raw.Control(setQuickAck)
}

func setQuickAck(descriptor uintptr) {
	_ = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}
