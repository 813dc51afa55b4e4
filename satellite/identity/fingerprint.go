package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"strings"
)

// Fingerprint names a key: the first 160 bits of the SHA-256 of its SubjectPublicKeyInfo. A renewed certificate for the
// same key has the same fingerprint.
type Fingerprint [20]byte

// FingerprintOf returns the fingerprint of a certificate's key.
func FingerprintOf(certificate *x509.Certificate) Fingerprint {
	hash := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return Fingerprint(hash[:len(Fingerprint{})])
}

// String returns eight groups of four characters, such as K5XG-J2QA-..., to be read out and typed.
func (f Fingerprint) String() string {
	encoded := base32.StdEncoding.EncodeToString(f[:])
	var text strings.Builder
	for i := 0; i < len(encoded); i += 4 {
		if i > 0 {
			text.WriteByte('-')
		}
		text.WriteString(encoded[i : i+4])
	}
	return text.String()
}

// digits replaces what people type for letters that look alike. None of these digits is in the alphabet of base32.
var digits = strings.NewReplacer("-", "", " ", "", ":", "", "0", "O", "1", "I", "8", "B")

// ParseFingerprint parses a text that String returned. Upper and lower case and any grouping are accepted. It reads 0,
// 1 and 8 as O, I and B.
func ParseFingerprint(text string) (Fingerprint, error) {
	decoded, err := base32.StdEncoding.DecodeString(digits.Replace(strings.ToUpper(strings.TrimSpace(text))))
	if err != nil || len(decoded) != len(Fingerprint{}) {
		return Fingerprint{}, fmt.Errorf("identity: %q is not a fingerprint: it has 32 letters and digits from 2 to 7, in groups of four", text)
	}
	return Fingerprint(decoded), nil
}

func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err == nil {
		*f = parsed
	}
	return err
}
