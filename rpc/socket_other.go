//go:build !linux

package rpc

import (
	"net"
	"syscall"
	"time"
)

// Other systems lack what these do on Linux: dead peers are noticed by keep-alive only, and as alive until then, a peer
// with Nagle's algorithm may be slow, no connection counts as silent or tells its flow, segments have the size that the
// system chooses, and every write is made by a goroutine that may wait.

func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }

func unacknowledged(*net.TCPConn) time.Duration { return 0 }

func silent(*net.TCPConn) bool { return false }

func flow(*net.TCPConn) Flow { return Flow{} }

func allowFragments(*net.TCPConn) {}

func limitSegments(syscall.RawConn, int) error { return nil }

type acknowledger struct{}

func newAcknowledger(net.Conn) *acknowledger { return nil }

func (*acknowledger) now() {}

const maxDirectBuffers = 1

type directWriter struct{}

func newDirectWriter(net.Conn) *directWriter { return nil }

func (*directWriter) write([][]byte) (int, error) { return 0, nil }
