package aggregator

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/textproto"
	"net/url"

	"golang.org/x/crypto/ssh/knownhosts"
)

// errRefused marks what a server refuses because of who asks.
var errRefused = errors.New("refused")

// httpError is an answer that is no success.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return fmt.Sprintf("the server answered %d %s", e.status, e.text) }

// classify gives an error OCPP's status.
func classify(err error) error {
	var known *UploadError
	if errors.As(err, &known) {
		return err
	}
	// The text of a url.Error has the URL, and that may have a token in its query.
	var urlError *url.Error
	if errors.As(err, &urlError) {
		err = urlError.Err
	}
	return &UploadError{Status: failureStatus(err), Err: err}
}

func failureStatus(err error) LogStatus {
	var (
		dns          *net.DNSError
		reply        *textproto.Error
		http         *httpError
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		hostname     x509.HostnameError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		hostKey      *knownhosts.KeyError
		revoked      *knownhosts.RevokedError
	)
	switch {
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return LogBadMessage
		}
	case errors.As(err, &reply):
		switch reply.Code {
		case 530, 532, 533, 534, 550, 553:
			return LogPermissionDenied
		}
	case errors.As(err, &http):
		switch http.status {
		case 401, 403, 407:
			return LogPermissionDenied
		}
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &record),
		errors.As(err, &alert), errors.As(err, &hostKey), errors.As(err, &revoked),
		errors.Is(err, errRefused), errors.Is(err, fs.ErrPermission):
		return LogPermissionDenied
	}
	return LogUploadFailure
}
