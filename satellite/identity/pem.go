package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	keyBlock         = "PRIVATE KEY"
	certificateBlock = "CERTIFICATE"
)

// encodeKeyPair returns a key and its certificates as PEM.
func encodeKeyPair(key crypto.Signer, chain []*x509.Certificate) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), EncodeCertificates(chain)...), nil
}

// EncodeCertificates returns certificates as PEM, one after the other.
func EncodeCertificates(chain []*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, certificate := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate.Raw}))
	}
	return text.Bytes()
}

// ParseCertificates reads the certificates in a PEM text. It skips other blocks, such as keys.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != certificateBlock {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("identity: unreadable certificate: %w", err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("identity: there is no certificate in it: it must have a PEM block CERTIFICATE")
	}
	return chain, nil
}

// parseKeyPair reads a key and its certificates. The first certificate must be the key's.
func parseKeyPair(text []byte) (crypto.Signer, []*x509.Certificate, error) {
	chain, err := ParseCertificates(text)
	if err != nil {
		return nil, nil, err
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, nil, errors.New("identity: there is no key in it: it must have a PEM block PRIVATE KEY")
		}
		text = rest
		if block.Type != keyBlock {
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("identity: unreadable key: %w", err)
		}
		key, ok := parsed.(crypto.Signer)
		if !ok {
			return nil, nil, fmt.Errorf("identity: a key of type %T cannot sign", parsed)
		}
		if !samePublicKey(key.Public(), chain[0].PublicKey) {
			return nil, nil, errors.New("identity: the first certificate is for another key")
		}
		return key, chain, nil
	}
}

func samePublicKey(one, other crypto.PublicKey) bool {
	comparable, ok := one.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(other)
}
