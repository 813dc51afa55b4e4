//go:build unix

package rpc

import (
	"net"
	"syscall"
)

// directWriter writes to a socket what it takes at once, without waiting. It is for one goroutine at a time.
type directWriter struct {
	raw    syscall.RawConn
	try    func(fd uintptr) bool
	buffer []byte
	n      int
	err    error
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

// write answers how many bytes the socket took, which may be none.
func (d *directWriter) write(buffer []byte) (int, error) {
	d.buffer, d.n, d.err = buffer, 0, nil
	err := d.raw.Write(d.try)
	d.buffer = nil
	if err == nil {
		err = d.err
	}
	return d.n, err
}

func (d *directWriter) writeOnce(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.buffer)
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
