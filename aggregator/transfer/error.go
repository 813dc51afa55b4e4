package transfer

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

// Status is the status by which OCPP reports a failed upload.
type Status string

// The statuses, in OCPP's spelling.
const (
	UploadFailure         Status = "UploadFailure"
	BadMessage            Status = "BadMessage"
	PermissionDenied      Status = "PermissionDenied"
	NotSupportedOperation Status = "NotSupportedOperation"
)

// Error reports why an upload failed, or why a location was rejected.
type Error struct {
	Status Status
	// Permanent is true if another attempt would fail the same way.
	Permanent bool
	Err       error
}

func (e *Error) Error() string { return "transfer: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errRefused marks the refusal of a server that depends on the client's identity.
var errRefused = errors.New("refused")

// httpError is a response without success.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return fmt.Sprintf("the server replied %d %s", e.status, e.text) }

// classify returns err as an *Error.
func classify(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	// The text of a url.Error has the URL, which may have a token in its query.
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		err = urlError.Err
	}
	return &Error{Status: failureStatus(err), Err: err}
}

func failureStatus(err error) Status {
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
			return BadMessage
		}
	case errors.As(err, &reply):
		switch reply.Code {
		case 332, 530, 532, 533, 534, 550, 553: // 332 asks for ACCT, for which a location has no place
			return PermissionDenied
		}
	case errors.As(err, &http):
		switch http.status {
		case 401, 403, 407:
			return PermissionDenied
		}
	case errors.As(err, &verification), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &record),
		errors.As(err, &alert), errors.As(err, &hostKey), errors.As(err, &revoked),
		errors.Is(err, errRefused), errors.Is(err, fs.ErrPermission):
		return PermissionDenied
	}
	return UploadFailure
}
