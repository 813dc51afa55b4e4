package rpc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
