//go:build unix && !linux

package rpc

import "syscall"

// writeBuffers writes what a descriptor takes of the first buffer at once; the others have their turn.
func writeBuffers(fd int, buffers [][]byte) (int, error) { return syscall.Write(fd, buffers[0]) }
