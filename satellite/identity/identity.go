package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Identity is a board's key with its certificate.
type Identity struct {
	// Certificate is what the board shows, and its key.
	Certificate tls.Certificate
	// Serial is the board's serial number.
	Serial      string
	Fingerprint Fingerprint
}

// Leaf returns the board's own certificate.
func (i Identity) Leaf() *x509.Certificate { return i.Certificate.Leaf }

// Expires is the end of the certificate's validity.
func (i Identity) Expires() time.Time { return i.Leaf().NotAfter }

// Chain returns the board's certificate and those that stand between it and an
// authority: what another board gets to see.
func (i Identity) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{i.Leaf()}
	for _, der := range i.Certificate.Certificate[1:] {
		// They were parsed when the identity was read.
		if certificate, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, certificate)
		}
	}
	return chain
}

// CreateOptions say what key and certificate Create and Rotate make.
type CreateOptions struct {
	// Serial is the board's serial number. Rotate takes the one that there is.
	Serial string
	// Algorithm is Ed25519 unless it is set.
	Algorithm Algorithm
	// Lifetime is DefaultLifetime unless it is set.
	Lifetime time.Duration
	// Replace overwrites the key that there is.
	Replace bool
	// Now is time.Now unless it is set.
	Now func() time.Time
}

func (o CreateOptions) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Create makes a board's key and a certificate that the key itself signs, in a
// directory that is made where there is none. It fails with ErrExists where there
// is a key, unless it is to be replaced.
func Create(directory string, options CreateOptions) (Identity, error) {
	return create(directory, identityFile, options)
}

// Load reads a board's identity. It fails with ErrMissing where there is none, and
// with ErrPermissions where others can read it.
func Load(directory string) (Identity, error) {
	if err := checkDirectory(directory); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w in %s: %w", ErrMissing, directory, err)
		}
		return Identity{}, err
	}
	return loadFile(filepath.Join(directory, identityFile))
}

// LoadNext reads the identity that Rotate has prepared. It fails with ErrMissing
// where there is none.
func LoadNext(directory string) (Identity, error) {
	return loadFile(filepath.Join(directory, nextFile))
}

// Rotate prepares a new key for the board's serial number beside the one in use,
// so that peers can be told to trust it first. Activate begins to use it.
func Rotate(directory string, options CreateOptions) (Identity, error) {
	present, err := Load(directory)
	if err != nil {
		return Identity{}, err
	}
	options.Serial = present.Serial
	return create(directory, nextFile, options)
}

// Activate puts the key that Rotate has prepared in the place of the one in use,
// which is gone then. A running module uses it from its next handshake on.
func Activate(directory string) (Identity, error) {
	next, err := LoadNext(directory)
	if err != nil {
		return Identity{}, err
	}
	if err := os.Rename(filepath.Join(directory, nextFile), filepath.Join(directory, identityFile)); err != nil {
		return Identity{}, fmt.Errorf("identity: cannot activate the new key: %w", err)
	}
	return next, syncDirectory(directory)
}

// Adopt gives the board's key the certificates that an authority has made for it,
// the board's own first: the key in use, or the one that Rotate has prepared. The
// serial number stays what it is.
func Adopt(directory string, chain []*x509.Certificate) (Identity, error) {
	if len(chain) == 0 {
		return Identity{}, errors.New("identity: there is no certificate to adopt")
	}
	serial, err := SerialOf(chain[0])
	if err != nil {
		return Identity{}, err
	}
	for _, name := range []string{identityFile, nextFile} {
		present, err := loadFile(filepath.Join(directory, name))
		if errors.Is(err, ErrMissing) {
			continue
		}
		if err != nil {
			return Identity{}, err
		}
		if FingerprintOf(chain[0]) != present.Fingerprint {
			continue
		}
		if serial != present.Serial {
			return Identity{}, fmt.Errorf("identity: the certificate is for serial number %s, the board has %s", serial, present.Serial)
		}
		return store(directory, name, present, chain)
	}
	return Identity{}, fmt.Errorf("identity: the certificate is for the key %s, which is not in %s", FingerprintOf(chain[0]), directory)
}

// Request returns a certificate that the board's key has signed itself, which
// proves to an authority that the board has the key: the key that Rotate has
// prepared, where there is one, else the one in use.
func Request(directory string, now time.Time) (*x509.Certificate, error) {
	board, err := LoadNext(directory)
	if errors.Is(err, ErrMissing) {
		board, err = Load(directory)
	}
	if err != nil {
		return nil, err
	}
	key := board.Certificate.PrivateKey.(crypto.Signer)
	begin, end := validity(now, DefaultLifetime)
	return boardCertificate(board.Serial, AnyRole, key.Public(), key, nil, begin, end)
}

func create(directory, name string, options CreateOptions) (Identity, error) {
	if err := CheckSerial(options.Serial); err != nil {
		return Identity{}, err
	}
	if err := makeDirectory(directory); err != nil {
		return Identity{}, err
	}
	path := filepath.Join(directory, name)
	if err := vacant(path); err != nil && !(options.Replace && errors.Is(err, ErrExists)) {
		return Identity{}, err
	}
	key, err := newKey(options.Algorithm)
	if err != nil {
		return Identity{}, err
	}
	lifetime := options.Lifetime
	if lifetime <= 0 {
		lifetime = DefaultLifetime
	}
	begin, end := validity(options.now(), lifetime)
	certificate, err := boardCertificate(options.Serial, AnyRole, key.Public(), key, nil, begin, end)
	if err != nil {
		return Identity{}, err
	}
	content, err := encodeKeyPair(key, []*x509.Certificate{certificate})
	if err != nil {
		return Identity{}, err
	}
	if err := replacePrivate(path, content); err != nil {
		return Identity{}, err
	}
	return parseIdentity(content)
}

// store gives a key that is there other certificates.
func store(directory, name string, present Identity, chain []*x509.Certificate) (Identity, error) {
	content, err := encodeKeyPair(present.Certificate.PrivateKey.(crypto.Signer), chain)
	if err != nil {
		return Identity{}, err
	}
	changed, err := parseIdentity(content)
	if err != nil {
		return Identity{}, err
	}
	return changed, replacePrivate(filepath.Join(directory, name), content)
}

func loadFile(path string) (Identity, error) {
	content, _, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err != nil {
		return Identity{}, err
	}
	loaded, err := parseIdentity(content)
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	return loaded, nil
}

func parseIdentity(content []byte) (Identity, error) {
	key, chain, err := parseKeyPair(content)
	if err != nil {
		return Identity{}, err
	}
	serial, err := SerialOf(chain[0])
	if err != nil {
		return Identity{}, err
	}
	certificate := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, one := range chain {
		certificate.Certificate = append(certificate.Certificate, one.Raw)
	}
	return Identity{Certificate: certificate, Serial: serial, Fingerprint: FingerprintOf(chain[0])}, nil
}
