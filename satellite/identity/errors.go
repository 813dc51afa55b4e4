package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

var (
	// ErrExists is the error where a key would be overwritten.
	ErrExists = errors.New("identity: there is a key already")
	// ErrMissing is the error where there is no identity or no authority.
	ErrMissing = errors.New("identity: there is no key")
	// errPermissions is the error where others than the owner can read or change a file or directory.
	errPermissions = errors.New("identity: open to others than its owner")
	// errOwner is the error where a file or directory belongs to another user.
	errOwner = errors.New("identity: owned by another user")
)

// Reason is why a peer was rejected. Its text is the field reason of the security log, and is stable.
type Reason string

const (
	// NotTLS is a peer that does not speak TLS.
	NotTLS Reason = "not_tls"
	// reasonOldTLS is a peer without TLS 1.3.
	reasonOldTLS Reason = "tls_version"
	// NoCertificate is a peer that sent no certificate.
	NoCertificate Reason = "no_certificate"
	// reasonNoSerial is a certificate without a serial number, or with several.
	reasonNoSerial Reason = "no_serial"
	// Untrusted is a key that is not pinned, with a certificate that no trusted authority has signed.
	Untrusted Reason = "untrusted"
	// WrongSerial is a trusted peer with another serial number than expected.
	WrongSerial Reason = "wrong_serial"
	// WrongRole is a certificate that its authority has signed for another role.
	WrongRole Reason = "wrong_role"
	// Expired is an expired certificate of an authority.
	Expired Reason = "expired"
	// RefusedUs is a peer that rejected this board.
	RefusedUs Reason = "refused_us"
	// reasonTimedOut is a handshake that took too long.
	reasonTimedOut Reason = "timeout"
	// Closed is a peer that closed the connection during the handshake.
	Closed Reason = "closed"
	// reasonBadHandshake is any other failure.
	reasonBadHandshake Reason = "bad_handshake"
)

// PeerError is the error for a peer that was rejected.
type PeerError struct {
	Reason Reason
	// Serial and Fingerprint are those of the peer's certificate, if the peer sent one. They are not verified.
	Serial      string
	Fingerprint Fingerprint
	// Err is the underlying error, or nil if Reason is the only information.
	Err error
}

func (e *PeerError) Error() string {
	text := "identity: peer rejected: " + string(e.Reason)
	if e.Reason != NoCertificate {
		text += fmt.Sprintf(" (serial %q, fingerprint %s)", e.Serial, e.Fingerprint)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *PeerError) Unwrap() error { return e.Err }

// ReasonOf returns why a TLS handshake failed, on either side.
func ReasonOf(err error) Reason {
	if peer, ok := errors.AsType[*PeerError](err); ok {
		return peer.Reason
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return NotTLS
	}
	// Package tls returns a peer's alert so.
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return RefusedUs
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return reasonTimedOut
	// Package tls has no error values for the next two.
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return NoCertificate
	case strings.Contains(err.Error(), "unsupported versions"), strings.Contains(err.Error(), "protocol version"):
		return reasonOldTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Closed
	}
	return reasonBadHandshake
}
