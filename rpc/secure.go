package rpc

import (
	"crypto/tls"
	"fmt"
	"net"
)

// clientTLS completes a client's configuration for a connection to address.
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

// serverTLS completes a server's configuration and checks that it lets nobody in unknown, unless that is asked for.
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
