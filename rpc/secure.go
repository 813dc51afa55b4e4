package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// KeyPin is the SHA-256 of a certificate's public key (its SubjectPublicKeyInfo): the name of a peer that needs no
// certificate authority.
type KeyPin [sha256.Size]byte

// PinOf answers the pin of a certificate's key.
func PinOf(certificate *x509.Certificate) KeyPin {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// ErrUnknownKey is a TLS peer whose key is not among the pinned ones.
var ErrUnknownKey = errors.New("rpc: the peer's public key is not pinned")

// PinKeys answers a function for tls.Config.VerifyConnection that lets only peers in whose key is one of the pins,
// whoever signed their certificate and whenever it expires. A client sets InsecureSkipVerify beside it, a server
// ClientAuth: tls.RequireAnyClientCert; both only switch off the check against authorities that the pins replace.
func PinKeys(pins ...KeyPin) func(tls.ConnectionState) error {
	pins = append([]KeyPin(nil), pins...)
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w: it showed none", ErrUnknownKey)
		}
		have := PinOf(state.PeerCertificates[0])
		for _, pin := range pins {
			if subtle.ConstantTimeCompare(pin[:], have[:]) == 1 {
				return nil
			}
		}
		return fmt.Errorf("%w: %x", ErrUnknownKey, have)
	}
}

// clientTLS completes a client's configuration for a connection to address.
func clientTLS(config *tls.Config, address string) (*tls.Config, error) {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	if config.InsecureSkipVerify && config.VerifyConnection == nil {
		return nil, fmt.Errorf("%w: InsecureSkipVerify needs a VerifyConnection such as PinKeys", ErrPeerNotAuthenticated)
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
