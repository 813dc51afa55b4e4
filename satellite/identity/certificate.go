package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Algorithm is the kind of a key: "ed25519", or "p256" (ECDSA) for chips that support no other.
type Algorithm string

const (
	ed25519Key Algorithm = "ed25519"
	p256       Algorithm = "p256"
)

// Role is what a board does on the link. An authority writes the role into each certificate as extended key usage: TLS
// server for an agent, TLS client for a controller.
type Role int

const (
	// anyRole is the role of a certificate that no authority has signed. It is pinned by boards that know its role.
	anyRole Role = iota
	// Satellite is a board with an agent.
	Satellite
	// Controller is a main board.
	Controller
)

// String returns "any", "satellite" or "controller".
func (r Role) String() string {
	switch r {
	case Satellite:
		return "satellite"
	case Controller:
		return "controller"
	}
	return "any"
}

func (r Role) usages() []x509.ExtKeyUsage {
	switch r {
	case Satellite:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case Controller:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

// The default lifetimes are those of a charging station: nobody visits a board in the field to renew its certificate.
const (
	defaultLifetime          = 20 * 365 * 24 * time.Hour
	defaultAuthorityLifetime = 30 * 365 * 24 * time.Hour
)

// earliest is before any certificate of this package can have been created. A clock with an earlier time is wrong.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// validity begins now, but not before earliest. Otherwise a board that creates its key in 1970 would have a certificate
// that expired before the board was sold.
func validity(now time.Time, lifetime, byDefault time.Duration) (begin, end time.Time) {
	if now.Before(earliest) {
		now = earliest
	}
	if lifetime <= 0 {
		lifetime = byDefault
	}
	return now.UTC(), now.Add(lifetime).UTC()
}

func newKey(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case "", ed25519Key:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case p256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("identity: unknown kind of key %q: use %s or %s", algorithm, ed25519Key, p256)
}

// boardCertificate returns a certificate for a board's key. The board's own key signs it where there is no authority.
func boardCertificate(serial string, role Role, public crypto.PublicKey, own crypto.Signer, authority *Authority, begin, end time.Time) (*x509.Certificate, error) {
	if err := CheckSerial(serial); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          randomNumber(),
		Subject:               pkix.Name{CommonName: serial, SerialNumber: serial},
		URIs:                  []*url.URL{serialURI(serial)},
		NotBefore:             begin,
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           role.usages(),
		BasicConstraintsValid: true,
	}
	if authority == nil {
		return sign(template, template, public, own)
	}
	return sign(template, authority.Certificate, public, authority.key)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("identity: cannot create the certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// randomNumber returns a certificate's serial number: positive, and within the 20 bytes of RFC 5280 section 4.1.2.2.
func randomNumber() *big.Int {
	drawn := make([]byte, 16)
	rand.Read(drawn) // it never fails
	drawn[0] = drawn[0]&0x7f | 0x40
	return new(big.Int).SetBytes(drawn)
}
