package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// serialPrefix precedes the serial number in a certificate's URI.
const serialPrefix = "urn:remotechargeport:serial:"

// maxSerial is how many characters a serial number may have.
const maxSerial = 64

// CheckSerial returns an error that names what is wrong with a serial number. A valid one has 1 to 64 letters of ASCII,
// digits, '.', '_' and '-'.
func CheckSerial(serial string) error {
	if serial == "" {
		return errors.New("identity: the serial number is empty")
	}
	if len(serial) > maxSerial {
		return fmt.Errorf("identity: the serial number %.20q... has more than %d characters", serial, maxSerial)
	}
	for _, char := range serial {
		letter := char >= 'A' && char <= 'Z' || char >= 'a' && char <= 'z'
		if !letter && (char < '0' || char > '9') && !strings.ContainsRune("._-", char) {
			return fmt.Errorf("identity: the serial number %q has the character %q: letters, digits, '.', '_' and '-' are possible", serial, char)
		}
	}
	return nil
}

func serialURI(serial string) *url.URL {
	return &url.URL{Scheme: "urn", Opaque: strings.TrimPrefix(serialPrefix, "urn:") + serial}
}

// SerialOf returns the serial number in a certificate. It fails where there is none or more than one.
func SerialOf(certificate *x509.Certificate) (string, error) {
	var found []string
	for _, uri := range certificate.URIs {
		if serial, ok := strings.CutPrefix(uri.String(), serialPrefix); ok {
			found = append(found, serial)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("identity: the certificate of %q has %d URIs %s...: it must have one", certificate.Subject, len(found), serialPrefix)
	}
	return found[0], CheckSerial(found[0])
}
