package identity

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Authority is a station's own certificate authority. The boards trust its certificate. Its key signs the boards'
// certificates, and must not be stored on a board.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// AuthorityOptions configures CreateAuthority.
type AuthorityOptions struct {
	// Name becomes the common name in the authority's certificate. The station's serial number is a good choice.
	Name string
	// Algorithm is "ed25519", the default, or "p256".
	Algorithm Algorithm
	// Lifetime is 30 years by default.
	Lifetime time.Duration
	// Replace overwrites an existing key.
	Replace bool
	// Now is time.Now by default.
	Now func() time.Time
}

// CreateAuthority creates an authority's key and certificate in a directory of its own. It fails with ErrExists where a
// key exists and options.Replace is not set.
func CreateAuthority(directory string, options AuthorityOptions) (*Authority, error) {
	if options.Name == "" {
		return nil, errors.New("identity: the authority has no name")
	}
	if err := makeDirectory(directory); err != nil {
		return nil, err
	}
	path := filepath.Join(directory, authorityFile)
	if err := checkVacant(path, options.Replace); err != nil {
		return nil, err
	}
	key, err := newKey(options.Algorithm)
	if err != nil {
		return nil, err
	}
	begin, end := validity(timeOf(options.Now), options.Lifetime, defaultAuthorityLifetime)
	template := &x509.Certificate{
		SerialNumber:          randomNumber(),
		Subject:               pkix.Name{CommonName: options.Name},
		NotBefore:             begin,
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	content, err := encodeKeyPair(key, []*x509.Certificate{certificate})
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: certificate, key: key}, replacePrivate(path, content)
}

// LoadAuthority reads an authority. It fails with ErrMissing where there is none.
func LoadAuthority(directory string) (*Authority, error) {
	path := filepath.Join(directory, authorityFile)
	content, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err != nil {
		return nil, err
	}
	key, chain, err := parseKeyPair(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !chain[0].IsCA {
		return nil, fmt.Errorf("%s: the certificate of %q is not an authority's", path, chain[0].Subject)
	}
	return &Authority{Certificate: chain[0], key: key}, nil
}

// Sign returns a certificate for a board's key and serial number. The parameter board is a certificate from [Request],
// signed with the board's own key. The signature proves that the board has the key. The new certificate names the role.
// It expires after lifetime, or after 20 years where lifetime is 0, but not later than the authority's certificate.
func (a *Authority) Sign(board *x509.Certificate, role Role, lifetime time.Duration, now time.Time) (*x509.Certificate, error) {
	serial, err := SerialOf(board)
	if err != nil {
		return nil, err
	}
	// CheckSignatureFrom would require an authority's certificate.
	if err := board.CheckSignature(board.SignatureAlgorithm, board.RawTBSCertificate, board.Signature); err != nil {
		return nil, fmt.Errorf("identity: the certificate of %s is not signed by its own key, so nothing proves that the board has it: %w", serial, err)
	}
	if role != Satellite && role != Controller {
		return nil, errors.New("identity: an authority signs for the role of a satellite or of a controller")
	}
	begin, end := validity(now, lifetime, defaultLifetime)
	if begin.Before(a.Certificate.NotBefore) {
		begin = a.Certificate.NotBefore
	}
	if end.After(a.Certificate.NotAfter) {
		end = a.Certificate.NotAfter
	}
	if !begin.Before(end) {
		return nil, fmt.Errorf("identity: the authority %q is valid only until %s", a.Certificate.Subject.CommonName, a.Certificate.NotAfter.Format(time.DateOnly))
	}
	return boardCertificate(serial, role, board.PublicKey, nil, a, begin, end)
}
