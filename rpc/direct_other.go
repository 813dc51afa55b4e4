//go:build !unix

package rpc

import "net"

// directWriter is for systems where a write that does not wait is at hand; here there is none.
type directWriter struct{}

func newDirectWriter(net.Conn) *directWriter { return nil }

const directBuffers = 1

func (*directWriter) write([][]byte) (int, error) { return 0, nil }
