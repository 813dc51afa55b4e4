package rpc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// writeBuffers writes what a descriptor takes of the buffers at once.
func writeBuffers(fd int, buffers [][]byte) (int, error) {
	if len(buffers) == 1 {
		return syscall.Write(fd, buffers[0])
	}
	return unix.Writev(fd, buffers)
}
