//go:build unix

package rpc

import (
	"net"
	"syscall"
)

// directWriter writes to a socket what it takes at once, without waiting. It is for one goroutine at a time.
type directWriter struct {
	raw     syscall.RawConn
	try     func(fd uintptr) bool
	buffers [][]byte
	n       int
	err     error
}

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

// directBuffers is how many buffers one system call writes at most.
const directBuffers = 64

// write answers how many bytes of the buffers, directBuffers at most, the socket took, which may be none.
func (d *directWriter) write(buffers [][]byte) (int, error) {
	d.buffers, d.n, d.err = buffers, 0, nil
	err := d.raw.Write(d.try)
	d.buffers = nil
	if err == nil {
		err = d.err
	}
	return d.n, err
}

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
