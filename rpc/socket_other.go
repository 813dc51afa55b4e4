//go:build !linux

package rpc

import (
	"net"
	"time"
)

// Other systems lack what these do on Linux: dead peers are noticed by keep-alive only, a peer with Nagle's algorithm
// may be slow, and every write is made by a goroutine that may wait.

func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }

type acknowledger struct{}

func newAcknowledger(net.Conn) *acknowledger { return nil }

func (*acknowledger) now() {}

const maxDirectBuffers = 1

type directWriter struct{}

func newDirectWriter(net.Conn) *directWriter { return nil }

func (*directWriter) write([][]byte) (int, error) { return 0, nil }
