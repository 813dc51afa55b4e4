package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/durable"
)

// Identity is a board's key and certificate.
type Identity struct {
	Certificate tls.Certificate
	// Serial is the board's serial number.
	Serial      string
	Fingerprint Fingerprint
}

// Leaf returns the board's own certificate.
func (i Identity) Leaf() *x509.Certificate { return i.Certificate.Leaf }

// Expires returns the end of the certificate's validity.
func (i Identity) Expires() time.Time { return i.Leaf().NotAfter }

// Chain returns the certificates that the board sends in a handshake. The board's own certificate is first, and any
// intermediate certificates follow.
func (i Identity) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{i.Leaf()}
	for _, der := range i.Certificate.Certificate[1:] {
		// It was parsed before, when the identity was read.
		if certificate, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, certificate)
		}
	}
	return chain
}

// CreateOptions configures Create and Rotate.
type CreateOptions struct {
	// Serial is the board's serial number. Rotate keeps the present one.
	Serial string
	// Algorithm is "ed25519", the default, or "p256".
	Algorithm Algorithm
	// Lifetime is 20 years by default.
	Lifetime time.Duration
	// Replace overwrites an existing key.
	Replace bool
	// Now is time.Now by default.
	Now func() time.Time
}

func timeOf(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}

// Create creates a board's key and a certificate that the key itself signs. It creates the directory where there is
// none. It fails with ErrExists where a key exists and options.Replace is not set.
func Create(directory string, options CreateOptions) (Identity, error) {
	return create(directory, identityFile, options)
}

// Load reads a board's identity. It fails with ErrMissing where there is none. It also fails where others than the
// owner can read the files.
func Load(directory string) (Identity, error) {
	if err := checkDirectory(directory); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w in %s: %w", ErrMissing, directory, err)
		}
		return Identity{}, err
	}
	return loadFile(filepath.Join(directory, identityFile))
}

// LoadNext reads the identity that Rotate has created. It fails with ErrMissing where there is none.
func LoadNext(directory string) (Identity, error) {
	return loadFile(filepath.Join(directory, nextFile))
}

// Rotate creates a new key for the board's serial number, beside the key in use. Peers can be made to trust the new key
// before Activate puts that key into use.
func Rotate(directory string, options CreateOptions) (Identity, error) {
	present, err := Load(directory)
	if err != nil {
		return Identity{}, err
	}
	options.Serial = present.Serial
	return create(directory, nextFile, options)
}

// Activate replaces the key in use by the key that Rotate has created. A running module uses the new key from its next
// handshake on.
func Activate(directory string) (Identity, error) {
	next, err := LoadNext(directory)
	if err != nil {
		return Identity{}, err
	}
	if err := durable.Rename(filepath.Join(directory, nextFile), filepath.Join(directory, identityFile)); err != nil {
		return Identity{}, fmt.Errorf("identity: cannot activate the new key: %w", err)
	}
	return next, nil
}

// Adopt stores the certificates that an authority has signed for the board's key, the board's own first. The key must
// be the one in use, or the one that Rotate has created. The serial number must be the present one.
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

// Request returns a certificate signed with the board's own key. It is the input of [Authority.Sign]. The key is the
// one that Rotate has created, or else the one in use.
func Request(directory string, now time.Time) (*x509.Certificate, error) {
	board, err := LoadNext(directory)
	if errors.Is(err, ErrMissing) {
		board, err = Load(directory)
	}
	if err != nil {
		return nil, err
	}
	key := board.Certificate.PrivateKey.(crypto.Signer)
	begin, end := validity(now, 0, defaultLifetime)
	return boardCertificate(board.Serial, anyRole, key.Public(), key, nil, begin, end)
}

func create(directory, name string, options CreateOptions) (Identity, error) {
	if err := CheckSerial(options.Serial); err != nil {
		return Identity{}, err
	}
	if err := makeDirectory(directory); err != nil {
		return Identity{}, err
	}
	path := filepath.Join(directory, name)
	if err := checkVacant(path, options.Replace); err != nil {
		return Identity{}, err
	}
	key, err := newKey(options.Algorithm)
	if err != nil {
		return Identity{}, err
	}
	begin, end := validity(timeOf(options.Now), options.Lifetime, defaultLifetime)
	certificate, err := boardCertificate(options.Serial, anyRole, key.Public(), key, nil, begin, end)
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

// store replaces the certificates of an existing key.
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
	content, err := readPrivate(path)
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
