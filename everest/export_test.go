package everest

import (
	"context"
	"net"
)

// DialPrompt dials a broker with immediate acknowledgements and nothing else of ours, for a fair comparison.
func DialPrompt(ctx context.Context, broker Broker) (net.Conn, error) {
	conn, err := dialBroker(ctx, broker)
	if err != nil {
		return nil, err
	}
	bare := conn.(*brokerConn).Conn
	return &promptConn{Conn: bare, read: promptReader(bare).Read}, nil
}

type promptConn struct {
	net.Conn
	read func([]byte) (int, error)
}

func (c *promptConn) Read(p []byte) (int, error) { return c.read(p) }

// Spawned reports whether the module counts as started by a manager.
func Spawned(m *Module) bool { return m.spawned }
