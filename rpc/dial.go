package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
)

// Dial connects to addr: "host:port", "[::1]:4129" or "unix:/path". All addresses of a name are tried. TCP needs
// Config.TLS or, by name, Config.InsecurePlaintext, else Dial fails with ErrPlaintext. ctx bounds the connecting only, not
// the client's life.
func Dial(ctx context.Context, addr string, config Config) (*Client, error) {
	config = config.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, config.DialTimeout)
	defer cancel()
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	} else if config.TLS == nil && !config.InsecurePlaintext {
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, ErrPlaintext)
	}
	// The socket gets its keep-alive from tune.
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
	}
	if err := tune(conn, config.KeepAlive, config.UserTimeout); err != nil {
		conn.Close()
		return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
	}
	if config.TLS != nil {
		secured, err := clientTLS(config.TLS, address)
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("rpc: connecting to %s: %w", addr, err)
		}
		secure := tls.Client(conn, secured)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%w: with %s: %w", ErrHandshake, addr, err)
		}
		conn = secure
	}
	return newClient(conn, config), nil
}
