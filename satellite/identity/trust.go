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

// Trust is whom a board lets in. The zero value is nobody.
type Trust struct {
	// Peers are the boards whose keys are pinned. A board may stand there more
	// than once, with an old and a new key.
	Peers []Pin `json:"peers,omitempty"`
	// Authorities vouch for boards.
	Authorities []TrustedAuthority `json:"authorities,omitempty"`
}

// Pin is one key of one board.
type Pin struct {
	Serial      string      `json:"serial"`
	Fingerprint Fingerprint `json:"fingerprint"`
	// Added is for people.
	Added time.Time `json:"added,omitzero"`
}

// TrustedAuthority is an authority that vouches for the boards with these serial
// numbers, for all boards where there are none.
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

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *TrustedAuthority) UnmarshalJSON(text []byte) error {
	var file trustedAuthorityFile
	// What the decoder around this one was told does not reach here.
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

// Peer is another board that is let in.
type Peer struct {
	Serial      string
	Fingerprint Fingerprint
	// Expires is the end of its certificate's validity.
	Expires time.Time
	// Chain is what it has shown, its own certificate first.
	Chain []*x509.Certificate
	// Authority is the name of the authority that vouches for it, empty for a
	// pinned key.
	Authority string
}

// Verify tells who the owner of a chain of certificates is, the owner's own
// first, which the TLS handshake has proven. Where serial is not empty it must be
// that board. Any failure is a *PeerError.
//
// A pin is checked first; the certificate's validity does not matter to it. For an
// authority the time is now, but never before the beginning of one of the
// certificates, nor before notBefore, the beginning of this board's own: a clock
// that says less is wrong.
func (t Trust) Verify(chain []*x509.Certificate, role Role, serial string, now, notBefore time.Time) (Peer, error) {
	if len(chain) == 0 {
		return Peer{}, &PeerError{Reason: NoCertificate}
	}
	leaf := chain[0]
	failed := &PeerError{Fingerprint: FingerprintOf(leaf)}
	claimed, err := SerialOf(leaf)
	if err != nil {
		failed.Reason, failed.Err = NoSerial, err
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
		if peer.Authority, err = t.vouched(chain, claimed, role, now, notBefore, failed); err != nil {
			return Peer{}, err
		}
	}
	if serial != "" && serial != claimed {
		failed.Reason, failed.Err = WrongSerial, fmt.Errorf("%s is expected", serial)
		return Peer{}, failed
	}
	return peer, nil
}

// pinned tells whether a peer's key is pinned with its serial number, and else
// with which others.
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

// vouched returns the name of the authority that vouches for a chain.
func (t Trust) vouched(chain []*x509.Certificate, serial string, role Role, now, notBefore time.Time, failed *PeerError) (string, error) {
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

// latest is the time that it must be at least. The beginnings of a peer's
// certificates count only together with their authority's signature, which is
// checked with them.
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

// LoadTrust reads whom a board trusts: nobody where there is no file. It fails with
// ErrPermissions where others can change that.
func LoadTrust(directory string) (Trust, error) {
	path := filepath.Join(directory, trustedFile)
	var content []byte
	err := checkDirectory(directory)
	if err == nil {
		content, _, err = readPrivate(path)
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
			return Trust{}, errors.New("identity: one of the trusted authorities is none")
		}
	}
	return trust, nil
}

// decodeStrictly fails for words that it does not know: one that is misspelled must
// not trust more than was meant.
func decodeStrictly(content []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// Save writes whom a board trusts. A running module follows.
func (t Trust) Save(directory string) error {
	content, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := makeDirectory(directory); err != nil {
		return err
	}
	return replacePrivate(filepath.Join(directory, trustedFile), append(content, '\n'))
}

// Pin adds a board's key, beside those that the board has already. It reports
// whether that is new.
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

// TrustAuthority adds an authority, for the boards with these serial numbers, for
// all where there are none. One that is trusted already is trusted for the new
// ones instead.
func (t *Trust) TrustAuthority(certificate *x509.Certificate, serials []string) error {
	if !certificate.IsCA {
		return fmt.Errorf("identity: the certificate of %q is no authority's", certificate.Subject.CommonName)
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

// Remove takes trust away from all keys of a board, from one key, or from an
// authority, by serial number, fingerprint or the authority's name or
// fingerprint. It returns how many entries that were.
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
