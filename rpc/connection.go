package rpc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// keepAliveProbes is how many keep-alive probes may stay unanswered before TCP gives the connection up.
const keepAliveProbes = 3

// tune sets the options by which TCP notices a dead peer. It does nothing to other connections.
func tune(conn net.Conn, keepAlive, userTimeout time.Duration) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: keepAlive > 0, Idle: keepAlive, Interval: keepAlive, Count: keepAliveProbes,
	})
	if userTimeout > 0 {
		err = errors.Join(err, setUserTimeout(tcp, userTimeout))
	}
	return errors.Join(err, tcp.SetNoDelay(true))
}

// Flow is what a connection has moved, as the system counts it. It is zero on systems other than Linux, and for a
// connection other than TCP.
type Flow struct {
	// Received counts the bytes received without a gap before them. Acknowledged counts the bytes that the peer's host has
	// acknowledged. Waiting reports that bytes of this side are not acknowledged.
	Received, Acknowledged uint64
	Waiting                bool
	// Stuck reports that bytes were sent again after TCP's timeout, in vain so far. Swallowed reports that a packet of full
	// length is among them, or that packets sent later have arrived: the path may take some packets, and others not.
	Stuck, Swallowed bool
}

func flowOf(conn net.Conn) Flow {
	if tcp := tcpOf(conn); tcp != nil {
		return flow(tcp)
	}
	return Flow{}
}

// LimitSegments limits the TCP segments of the connections that listener accepts from now on, in bytes and in both
// directions. It has no effect on systems other than Linux, and on listeners other than TCP. A listener that wraps others
// implements [syscall.Conn].
func LimitSegments(listener net.Listener, size int) error {
	if listener == nil {
		return nil
	}
	if _, tcp := listener.Addr().(*net.TCPAddr); !tcp {
		return nil
	}
	socket, ok := listener.(syscall.Conn)
	if !ok {
		return fmt.Errorf("rpc: limiting the segments of %s: %T has no socket: %w", listener.Addr(), listener, errors.ErrUnsupported)
	}
	raw, err := socket.SyscallConn()
	if err == nil {
		err = limitSegments(raw, size)
	}
	if err != nil {
		return fmt.Errorf("rpc: limiting the segments of %s to %d bytes: %w", listener.Addr(), size, err)
	}
	return nil
}

// resetConn closes a connection. TCP resets it, and keeps no state of it.
func resetConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it fails only for a closed connection
	}
	conn.Close()
}

// clientTLS returns a client's configuration for a connection to address: config with TLS 1.3 as the lowest version and
// a server name. It rejects a configuration that authenticates no server.
func clientTLS(config *tls.Config, address string) (*tls.Config, error) {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	if config.InsecureSkipVerify && config.VerifyConnection == nil {
		return nil, fmt.Errorf("%w: InsecureSkipVerify needs a VerifyConnection", ErrPeerNotAuthenticated)
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("rpc: TLS over a Unix socket needs a ServerName: %w", err)
		}
		config.ServerName = host
	}
	return config, nil
}

// serverTLS returns config with TLS 1.3 as the lowest version. It rejects a configuration that authenticates no client,
// unless anonymous clients are allowed. That holds for what GetConfigForClient returns, too.
func serverTLS(config *tls.Config, anonymous bool) (*tls.Config, error) {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	authenticated := config.ClientAuth == tls.RequireAndVerifyClientCert ||
		config.ClientAuth == tls.RequireAnyClientCert && config.VerifyConnection != nil
	if !authenticated && !anonymous {
		return nil, fmt.Errorf("%w: set ClientAuth to RequireAndVerifyClientCert, or to RequireAnyClientCert with VerifyConnection, or AnonymousClients", ErrPeerNotAuthenticated)
	}
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if err != nil || chosen == nil {
				return nil, err
			}
			return serverTLS(chosen, anonymous)
		}
	}
	return config, nil
}
