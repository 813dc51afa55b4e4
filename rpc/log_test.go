package rpc_test

import (
	"io"
	"net"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/rpc"
)

// TestStrangersDoNotFillTheLog wants a client that sends nonsense to be logged with address and reason, ten times in
// ten seconds.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	address := serve(t, rpc.NewServer(rpc.ServerConfig{InsecurePlaintext: true, Logger: zap.New(core)}))
	for range 60 {
		conn, err := net.Dial("tcp", address)
		must(t, err)
		_, err = conn.Write([]byte{0xc1}) // the reserved byte of MessagePack
		must(t, err)
		// The server sends nothing and closes the connection, which may be reset.
		_, _ = io.Copy(io.Discard, conn)
		must(t, conn.Close())
	}
	lines := logs.FilterMessage("session broken").All()
	// On a slow machine another ten seconds may begin, or two.
	if len(lines) < 5 || len(lines) > 30 {
		t.Fatalf("%d lines of 60 strangers, want about 10", len(lines))
	}
	fields := lines[0].ContextMap()
	if lines[0].LoggerName != "rpc" || fields["address"] == nil || fields["error"] == nil {
		t.Errorf("line of %q with %v, want one of rpc with address and error", lines[0].LoggerName, fields)
	}
}
