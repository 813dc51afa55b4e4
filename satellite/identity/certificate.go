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

// Algorithm is the kind of a key.
type Algorithm string

// The kinds of keys.
const (
	Ed25519 Algorithm = "ed25519"
	P256    Algorithm = "p256"
)

// Role is what a board does on the link. An authority writes it into the
// certificates that it signs, as extended key usage: the agent is the server of
// TLS, the controller its client.
type Role int

const (
	// AnyRole is the role of a certificate that no authority has signed: those
	// who pin its key know what it is.
	AnyRole Role = iota
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

// Default lifetimes are those of a charging station: nobody comes to renew a
// certificate of a board in a field.
const (
	DefaultLifetime          = 20 * 365 * 24 * time.Hour
	DefaultAuthorityLifetime = 30 * 365 * 24 * time.Hour
)

// earliest is before any certificate of this package can have been made: a clock
// that says an earlier time is wrong.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// validity begins now, or where the clock is known to be behind, at the earliest
// possible time: else a board that makes its key in 1970 has a certificate that
// expired long before it was sold.
func validity(now time.Time, lifetime time.Duration) (begin, end time.Time) {
	if now.Before(earliest) {
		now = earliest
	}
	return now.UTC(), now.Add(lifetime).UTC()
}

func newKey(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case "", Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("identity: there are no keys of kind %q: use %s or %s", algorithm, Ed25519, P256)
}

// boardCertificate makes a certificate for a board's key, which its own key signs
// where there is no authority.
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
		return nil, fmt.Errorf("identity: cannot make the certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// randomNumber is a certificate's number: positive, at most 20 bytes long.
func randomNumber() *big.Int {
	drawn := make([]byte, 16)
	rand.Read(drawn) // it never fails
	drawn[0] = drawn[0]&0x7f | 0x40
	return new(big.Int).SetBytes(drawn)
}
