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

// Authority is a station's own certificate authority: its certificate is trusted
// by the boards, its key signs their certificates and stays off the boards.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// AuthorityOptions say what CreateAuthority makes.
type AuthorityOptions struct {
	// Name is for people, such as the station's serial number.
	Name string
	// Algorithm is Ed25519 unless it is set.
	Algorithm Algorithm
	// Lifetime is DefaultAuthorityLifetime unless it is set.
	Lifetime time.Duration
	// Replace overwrites the key that there is.
	Replace bool
	// Now is time.Now unless it is set.
	Now func() time.Time
}

// CreateAuthority makes an authority's key and certificate in a directory of its
// own. It fails with ErrExists where there is a key, unless it is to be replaced.
func CreateAuthority(directory string, options AuthorityOptions) (*Authority, error) {
	if options.Name == "" {
		return nil, errors.New("identity: the authority has no name")
	}
	if err := makeDirectory(directory); err != nil {
		return nil, err
	}
	path := filepath.Join(directory, authorityFile)
	if err := vacant(path); err != nil && !(options.Replace && errors.Is(err, ErrExists)) {
		return nil, err
	}
	key, err := newKey(options.Algorithm)
	if err != nil {
		return nil, err
	}
	lifetime := options.Lifetime
	if lifetime <= 0 {
		lifetime = DefaultAuthorityLifetime
	}
	begin, end := validity(CreateOptions{Now: options.Now}.now(), lifetime)
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
	content, _, err := readPrivate(path)
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
		return nil, fmt.Errorf("%s: the certificate of %q is no authority's", path, chain[0].Subject)
	}
	return &Authority{Certificate: chain[0], key: key}, nil
}

// Sign makes a certificate for the key and serial number of one that the board
// itself has signed, which proves that the board has the key. The role says what
// the board may do. A lifetime of 0 is DefaultLifetime, but none is longer than
// the authority's.
func (a *Authority) Sign(board *x509.Certificate, role Role, lifetime time.Duration, now time.Time) (*x509.Certificate, error) {
	serial, err := SerialOf(board)
	if err != nil {
		return nil, err
	}
	// CheckSignatureFrom asks for an authority's certificate, which this is not.
	if err := board.CheckSignature(board.SignatureAlgorithm, board.RawTBSCertificate, board.Signature); err != nil {
		return nil, fmt.Errorf("identity: the certificate of %s is not signed by its own key, so nothing proves that the board has it: %w", serial, err)
	}
	if role != Satellite && role != Controller {
		return nil, errors.New("identity: an authority signs for the role of a satellite or of a controller")
	}
	if lifetime <= 0 {
		lifetime = DefaultLifetime
	}
	begin, end := validity(now, lifetime)
	if begin.Before(a.Certificate.NotBefore) {
		begin = a.Certificate.NotBefore
	}
	if end.After(a.Certificate.NotAfter) {
		end = a.Certificate.NotAfter
	}
	if !begin.Before(end) {
		return nil, fmt.Errorf("identity: the authority %q is valid until %s only", a.Certificate.Subject.CommonName, a.Certificate.NotAfter.Format(time.DateOnly))
	}
	return boardCertificate(serial, role, board.PublicKey, nil, a, begin, end)
}
