// Package testenv gives the tests of the aggregator and its package transfer what they need of their machine: ports,
// and file systems that can be filled.
package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// FreePort returns a port on which no process listens. It is outside of the range that the system gives to outgoing
// connections. Until the test ends the port stays in use on 127.0.0.2, so that no other call returns it.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		everywhere, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		everywhere.Close()
		if reservation, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port)); err == nil {
			t.Cleanup(func() { reservation.Close() })
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Eventually waits for a condition that another goroutine makes true. The bound is generous: a busy machine is slow.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
