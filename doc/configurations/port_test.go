package configurations

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// freePort is below the ports that systems give to outgoing connections, so that nobody takes it until a module does.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
