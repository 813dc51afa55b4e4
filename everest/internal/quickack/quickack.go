// Package quickack makes TCP connections that acknowledge at once what they receive.
//
// A broker that leaves Nagle's algorithm on, as mosquitto does by default, holds the second of two small packets back until
// the first is acknowledged; a receiver that delays its acknowledgements then makes every QoS 1 or 2 exchange some 40 ms
// long. Linux can be told, again after every read, to acknowledge at once. Elsewhere connections stay as they are.
package quickack

import (
	"context"
	"net"
)

// Dial is net.Dialer's DialContext; a TCP connection acknowledges at once. It is safe for concurrent use as any net.Conn.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return Wrap(conn), nil
}
