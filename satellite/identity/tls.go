package identity

import "crypto/tls"

// ServerTLS returns the agent's side: it shows the board's identity, and lets in
// only controllers that the board trusts, over TLS 1.3. Each handshake uses what
// the files say then.
func (s *Store) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// VerifyConnection is what checks the certificate.
		ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			certificate := s.Identity().Certificate
			return &certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := s.Verify(state.PeerCertificates, Controller, "")
			return err
		},
		// A trust that was withdrawn must not live on in a ticket.
		SessionTicketsDisabled: true,
	}
}

// ClientTLS returns the controller's side: it shows the board's identity, and goes
// on only with a satellite that the board trusts; with the one of that serial
// number, unless that is empty. accepted, if it is not nil, is told who the
// satellite is before the handshake ends. Each handshake uses what the files say
// then.
func (s *Store) ClientTLS(serial string, accepted func(Peer)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// It switches off the check of a host name, which the serial number
		// replaces. VerifyConnection is what checks the certificate.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := s.Identity().Certificate
			return &certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			peer, err := s.Verify(state.PeerCertificates, Satellite, serial)
			if err == nil && accepted != nil {
				accepted(peer)
			}
			return err
		},
	}
}
