package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// Fingerprint names a key: the first 160 bits of the SHA-256 of its SubjectPublicKeyInfo. A renewed certificate for the
// same key has the same fingerprint.
type Fingerprint [20]byte

// ErrMistyped is the error for a text that has the form of a fingerprint, but not the check characters of its key.
var ErrMistyped = errors.New("identity: the fingerprint is mistyped")

// FingerprintOf returns the fingerprint of a certificate's key.
func FingerprintOf(certificate *x509.Certificate) Fingerprint {
	hash := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return Fingerprint(hash[:len(Fingerprint{})])
}

const (
	// keyCharacters are the characters of the key, checkCharacters those that find a mistyped one.
	keyCharacters   = 32
	checkCharacters = 4
	// group is how many characters stand together.
	group = 4
)

// String returns nine groups of four characters, such as K5XG-J2QA-..., to be read out and typed. The last group has
// the check characters.
func (f Fingerprint) String() string {
	encoded := f.key()
	return grouped(encoded + check(encoded))
}

// key returns the characters of the key alone.
func (f Fingerprint) key() string { return base32.StdEncoding.EncodeToString(f[:]) }

func grouped(characters string) string {
	var text strings.Builder
	for i := 0; i < len(characters); i += group {
		if i > 0 {
			text.WriteByte('-')
		}
		text.WriteString(characters[i:min(i+group, len(characters))])
	}
	return text.String()
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// polynomial is that of the check characters, a CRC of 20 bits. It is primitive. Of all that were tried it misses the
// fewest errors in 36 characters: none in one or two of them, and 62 of the 212 million in three.
const polynomial = 0x11027d

// check returns the check characters for characters of the alphabet. They differ after every change of one or two
// characters, after every change within four neighbours, and after every exchange of two characters or two groups. They
// miss one in a million of all other changes.
func check(characters string) string {
	remainder := 0
	for _, char := range characters + "AAAA" {
		// Each character is 5 bits of the dividend.
		value := strings.IndexRune(alphabet, char)
		for bit := 4; bit >= 0; bit-- {
			if remainder = remainder<<1 | value>>bit&1; remainder&(1<<20) != 0 {
				remainder ^= polynomial
			}
		}
	}
	text := make([]byte, checkCharacters)
	for i := range text {
		text[i] = alphabet[remainder>>(5*(checkCharacters-1-i))&31]
	}
	return string(text)
}

// digits replaces what people type for letters that look alike. None of these digits is in the alphabet of base32.
var digits = strings.NewReplacer("-", "", " ", "", ":", "", "0", "O", "1", "I", "8", "B")

// ParseFingerprint parses a text that String returned, or one of the older form without the last group. Upper and lower
// case and any grouping are accepted. It reads 0, 1 and 8 as O, I and B. The error matches ErrMistyped where the check
// characters do not fit.
func ParseFingerprint(text string) (Fingerprint, error) {
	fingerprint, _, err := ReadFingerprint(text)
	return fingerprint, err
}

// ReadFingerprint parses a text as ParseFingerprint does. It also reports whether the text had check characters. A typing
// error in a text without them is not found, so a person should compare the fingerprint once more.
func ReadFingerprint(text string) (fingerprint Fingerprint, checked bool, err error) {
	characters := digits.Replace(strings.ToUpper(strings.TrimSpace(text)))
	for _, char := range characters {
		if !strings.ContainsRune(alphabet, char) {
			return fingerprint, false, fmt.Errorf("identity: %q is not a fingerprint: %q is neither a letter nor a digit from 2 to 7", text, char)
		}
	}
	checked = len(characters) == keyCharacters+checkCharacters
	if !checked && len(characters) != keyCharacters {
		return fingerprint, false, fmt.Errorf("identity: %q is not a fingerprint: it has %d characters, not %d in nine groups of four (or %d, the older form)",
			text, len(characters), keyCharacters+checkCharacters, keyCharacters)
	}
	key := characters[:keyCharacters]
	if checked && check(key) != characters[keyCharacters:] {
		return fingerprint, true, fmt.Errorf("%w: the check characters at the end of %s do not fit the others: compare it group by group with what satkeys show prints on the other board",
			ErrMistyped, grouped(characters))
	}
	decoded, err := base32.StdEncoding.DecodeString(key)
	if err != nil {
		return fingerprint, checked, fmt.Errorf("identity: %q is not a fingerprint: %w", text, err)
	}
	return Fingerprint(decoded), checked, nil
}

// MarshalText returns the text of String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads both forms, as ParseFingerprint does.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err == nil {
		*f = parsed
	}
	return err
}
