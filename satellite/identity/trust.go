package identity

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Trust lists the peers that a board accepts. The zero value accepts none.
type Trust struct {
	// Peers are the pinned keys. A board may have several, such as an old and a new one.
	Peers       []Pin              `json:"peers,omitempty"`
	Authorities []TrustedAuthority `json:"authorities,omitempty"`
}

// Pin is one key of one board.
type Pin struct {
	Serial      string      `json:"serial"`
	Fingerprint Fingerprint `json:"fingerprint"`
	// Added is when the key was pinned. It is for people.
	Added time.Time `json:"added,omitzero"`
}

// TrustedAuthority is an authority that a board trusts. Certificates that the authority signed are accepted for the
// serial numbers in Serials. If Serials is empty, they are accepted for every serial number.
type TrustedAuthority struct {
	Certificate *x509.Certificate
	Serials     []string
}

type trustedAuthorityFile struct {
	Certificate string   `json:"certificate"`
	Serials     []string `json:"serials,omitempty"`
}

// MarshalJSON writes the certificate as PEM.
func (a TrustedAuthority) MarshalJSON() ([]byte, error) {
	return json.Marshal(trustedAuthorityFile{string(EncodeCertificates([]*x509.Certificate{a.Certificate})), a.Serials})
}

// UnmarshalJSON reads the form of MarshalJSON.
func (a *TrustedAuthority) UnmarshalJSON(text []byte) error {
	var file trustedAuthorityFile
	// The settings of the decoder that called this do not apply here.
	if err := decodeStrictly(text, &file); err != nil {
		return err
	}
	chain, err := ParseCertificates([]byte(file.Certificate))
	if err != nil {
		return err
	}
	a.Certificate, a.Serials = chain[0], file.Serials
	return nil
}

// Peer is a board that was accepted.
type Peer struct {
	Serial      string
	Fingerprint Fingerprint
	// Expires is when the peer's certificate expires.
	Expires time.Time
	// Chain holds the certificates that the peer sent, its own first.
	Chain []*x509.Certificate
	// Authority is the name of the authority that signed the peer's certificate, empty for a pinned key.
	Authority string
}

// Verify decides whether a peer is accepted, and returns that peer. chain holds the certificates that the peer sent,
// its own first. The TLS handshake must have proven that the peer has the key. Where serial is not empty, it must be
// the peer's serial number. Any failure is a *PeerError.
//
// A pinned key is accepted even if its certificate has expired. A certificate that an authority signed must be valid.
// If now is earlier than notBefore or than the start of a certificate's validity, the clock must be wrong. Validity is
// then checked at the latest of these times instead of now. notBefore is the start of validity of this board's own
// certificate.
func (t Trust) Verify(chain []*x509.Certificate, role Role, serial string, now, notBefore time.Time) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, &PeerError{Reason: NoCertificate}
	}
	leaf := chain[0]
	failed := &PeerError{Fingerprint: FingerprintOf(leaf)}
	claimed, err := SerialOf(leaf)
	if err != nil {
		failed.Reason, failed.Err = reasonNoSerial, err
		return Peer{}, failed
	}
	failed.Serial = claimed
	peer := Peer{Serial: claimed, Fingerprint: failed.Fingerprint, Expires: leaf.NotAfter, Chain: chain}
	pinned, serials := t.pinned(peer)
	switch {
	case pinned:
	case len(serials) > 0:
		failed.Reason, failed.Err = WrongSerial, fmt.Errorf("the key is trusted as that of %s", strings.Join(serials, ", "))
		return Peer{}, failed
	default:
		if peer.Authority, err = t.signedBy(chain, claimed, role, now, notBefore, failed); err != nil {
			return Peer{}, err
		}
	}
	if serial != "" && serial != claimed {
		failed.Reason, failed.Err = WrongSerial, fmt.Errorf("%s is expected", serial)
		return Peer{}, failed
	}
	return peer, nil
}

// pinned reports whether a peer's key is pinned with its serial number. Otherwise it returns the serial numbers with
// which the key is pinned.
func (t Trust) pinned(peer Peer) (found bool, others []string) {
	for _, pin := range t.Peers {
		if subtle.ConstantTimeCompare(pin.Fingerprint[:], peer.Fingerprint[:]) != 1 {
			continue
		}
		if pin.Serial == peer.Serial {
			return true, nil
		}
		others = append(others, pin.Serial)
	}
	return false, others
}

// signedBy returns the name of the trusted authority that signed a chain.
func (t Trust) signedBy(chain []*x509.Certificate, serial string, role Role, now, notBefore time.Time, failed *PeerError) (string, error) {
	failed.Reason = Untrusted
	between := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	for _, authority := range t.Authorities {
		if len(authority.Serials) > 0 && !slices.Contains(authority.Serials, serial) {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(authority.Certificate)
		_, err := chain[0].Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between,
			CurrentTime: latest(now, notBefore, authority.Certificate.NotBefore, chain),
			KeyUsages:   role.usages(),
		})
		if err == nil {
			return authority.Certificate.Subject.CommonName, nil
		}
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
			switch invalid.Reason {
			case x509.Expired:
				failed.Reason = Expired
			case x509.IncompatibleUsage:
				failed.Reason = WrongRole
			}
		}
		failed.Err = err
	}
	return "", failed
}

// latest returns now, or the newest beginning of a certificate if that is later. A peer could write any beginning into
// its certificates, but the authority's signature is checked together with them.
func latest(now, notBefore, authority time.Time, chain []*x509.Certificate) time.Time {
	for _, begin := range []time.Time{notBefore, authority} {
		if begin.After(now) {
			now = begin
		}
	}
	for _, certificate := range chain {
		if certificate.NotBefore.After(now) {
			now = certificate.NotBefore
		}
	}
	return now
}

// LoadTrust reads a board's trust. The trust is empty where there is no file. LoadTrust fails where others than the
// owner can access the file.
func LoadTrust(directory string) (Trust, error) {
	path := filepath.Join(directory, trustedFile)
	var content []byte
	err := checkDirectory(directory)
	if err == nil {
		content, err = readPrivate(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Trust{}, nil
	}
	if err != nil {
		return Trust{}, err
	}
	trust, err := parseTrust(content)
	if err != nil {
		return Trust{}, fmt.Errorf("%s: %w", path, err)
	}
	return trust, nil
}

func parseTrust(content []byte) (Trust, error) {
	var trust Trust
	if err := decodeStrictly(content, &trust); err != nil {
		return Trust{}, fmt.Errorf("identity: unreadable trust: %w", err)
	}
	for _, pin := range trust.Peers {
		if err := CheckSerial(pin.Serial); err != nil {
			return Trust{}, err
		}
		if pin.Fingerprint == (Fingerprint{}) {
			return Trust{}, fmt.Errorf("identity: the peer %s has no fingerprint", pin.Serial)
		}
	}
	for _, authority := range trust.Authorities {
		if authority.Certificate == nil || !authority.Certificate.IsCA {
			return Trust{}, errors.New("identity: one of the trusted authorities has no certificate of an authority")
		}
	}
	return trust, nil
}

// decodeStrictly fails for unknown keys: a misspelled one must not widen the trust.
func decodeStrictly(content []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// trustFile is a Trust as it is written. Its fingerprints have no check characters, so that software from before these
// can read the file after a rollback. LoadTrust reads both forms.
type trustFile struct {
	Peers       []pinFile          `json:"peers,omitempty"`
	Authorities []TrustedAuthority `json:"authorities,omitempty"`
}

type pinFile struct {
	Serial      string    `json:"serial"`
	Fingerprint string    `json:"fingerprint"`
	Added       time.Time `json:"added,omitzero"`
}

// Save writes a board's trust. A running module reads it within seconds.
func (t Trust) Save(directory string) error {
	file := trustFile{Authorities: t.Authorities}
	for _, pin := range t.Peers {
		file.Peers = append(file.Peers, pinFile{pin.Serial, grouped(pin.Fingerprint.key()), pin.Added})
	}
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := makeDirectory(directory); err != nil {
		return err
	}
	return replacePrivate(filepath.Join(directory, trustedFile), append(content, '\n'))
}

// Pin adds a key to those of a board, and reports whether it is new.
func (t *Trust) Pin(pin Pin) (bool, error) {
	if err := CheckSerial(pin.Serial); err != nil {
		return false, err
	}
	for _, present := range t.Peers {
		if present.Fingerprint == pin.Fingerprint {
			if present.Serial != pin.Serial {
				return false, fmt.Errorf("identity: the key %s is trusted as that of %s: untrust it first", pin.Fingerprint, present.Serial)
			}
			return false, nil
		}
	}
	t.Peers = append(t.Peers, pin)
	return true, nil
}

// TrustAuthority adds an authority for the boards with these serial numbers, or for every board where serials is empty.
// Where the authority is trusted already, serials replace the previous ones.
func (t *Trust) TrustAuthority(certificate *x509.Certificate, serials []string) error {
	if !certificate.IsCA {
		return fmt.Errorf("identity: the certificate of %q is not an authority's", certificate.Subject.CommonName)
	}
	for _, serial := range serials {
		if err := CheckSerial(serial); err != nil {
			return err
		}
	}
	added := TrustedAuthority{Certificate: certificate, Serials: serials}
	for i, present := range t.Authorities {
		if present.Certificate.Equal(certificate) {
			t.Authorities[i] = added
			return nil
		}
	}
	t.Authorities = append(t.Authorities, added)
	return nil
}

// Repeated returns the serial numbers that more than one pinned key has, in the order of Peers. That is so while a board
// changes its key, and otherwise where two boards have the same serial number.
func (t Trust) Repeated() []string {
	keys := map[string]int{}
	var repeated []string
	for _, pin := range t.Peers {
		if keys[pin.Serial]++; keys[pin.Serial] == 2 {
			repeated = append(repeated, pin.Serial)
		}
	}
	return repeated
}

// Remove removes all keys of a board by its serial number, one key by its fingerprint, or an authority by its name or
// fingerprint. It returns the number of removed entries.
func (t *Trust) Remove(name string) int {
	fingerprint, err := ParseFingerprint(name)
	isKey := err == nil
	before := len(t.Peers) + len(t.Authorities)
	t.Peers = slices.DeleteFunc(t.Peers, func(pin Pin) bool {
		return pin.Serial == name || isKey && pin.Fingerprint == fingerprint
	})
	t.Authorities = slices.DeleteFunc(t.Authorities, func(authority TrustedAuthority) bool {
		return authority.Certificate.Subject.CommonName == name || isKey && FingerprintOf(authority.Certificate) == fingerprint
	})
	return before - len(t.Peers) - len(t.Authorities)
}
