package everest

import (
	"context"
	"net"

	"github.com/remotechargeport/remotechargeport/everest/internal/quickack"
)

// DialPrompt dials a broker with immediate acknowledgements and nothing else of ours, for a fair comparison.
func DialPrompt(ctx context.Context, broker Broker) (net.Conn, error) {
	conn, err := dialBroker(ctx, broker)
	if err != nil {
		return nil, err
	}
	return quickack.Wrap(conn.(*brokerConn).Conn), nil
}

// Spawned reports whether the module counts as started by a manager.
func Spawned(m *Module) bool { return m.spawned }
