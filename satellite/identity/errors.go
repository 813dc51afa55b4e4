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
)

var (
	// ErrExists is a key that would have been overwritten.
	ErrExists = errors.New("identity: there is a key already")
	// ErrMissing is an identity or authority that is not there.
	ErrMissing = errors.New("identity: there is no key")
	// ErrPermissions is a file or directory that others than its owner can read
	// or change.
	ErrPermissions = errors.New("identity: open to others than its owner")
)

// Reason is why a peer was not let in, as it stands in the security log. The
// texts are stable.
type Reason string

// Why a peer was not let in.
const (
	// NotTLS is a peer that does not speak TLS.
	NotTLS Reason = "not_tls"
	// OldTLS is a peer that speaks no TLS 1.3.
	OldTLS Reason = "tls_version"
	// NoCertificate is a peer that shows no certificate.
	NoCertificate Reason = "no_certificate"
	// NoSerial is a certificate without one serial number.
	NoSerial Reason = "no_serial"
	// Untrusted is a key that is not pinned, of a certificate that no trusted
	// authority has signed.
	Untrusted Reason = "untrusted"
	// WrongSerial is a trusted peer that has another serial number than expected.
	WrongSerial Reason = "wrong_serial"
	// WrongRole is a certificate that its authority has signed for another role.
	WrongRole Reason = "wrong_role"
	// Expired is a certificate of an authority that is not valid any more.
	Expired Reason = "expired"
	// RefusedUs is a peer that did not let this board in.
	RefusedUs Reason = "refused_us"
	// TimedOut is a handshake that took too long.
	TimedOut Reason = "timeout"
	// Closed is a peer that left during the handshake.
	Closed Reason = "closed"
	// BadHandshake is any other failure.
	BadHandshake Reason = "bad_handshake"
)

// PeerError is a peer that was not let in.
type PeerError struct {
	Reason Reason
	// Serial and Fingerprint are what its certificate says, as far as there is
	// one; nothing vouches for them.
	Serial      string
	Fingerprint Fingerprint
	// Err says more; nil where the reason says it all.
	Err error
}

// Error names the reason and the peer.
func (e *PeerError) Error() string {
	text := "identity: peer not let in: " + string(e.Reason)
	if e.Reason != NoCertificate {
		text += fmt.Sprintf(" (serial %q, fingerprint %s)", e.Serial, e.Fingerprint)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *PeerError) Unwrap() error { return e.Err }

// ReasonOf tells why a TLS handshake failed, on either side.
func ReasonOf(err error) Reason {
	if peer, ok := errors.AsType[*PeerError](err); ok {
		return peer.Reason
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return NotTLS
	}
	// So package tls passes a peer's alert on.
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" {
		return RefusedUs
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return TimedOut
	// Package tls has no values for these two.
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return NoCertificate
	case strings.Contains(err.Error(), "unsupported versions"), strings.Contains(err.Error(), "protocol version"):
		return OldTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		return Closed
	}
	return BadHandshake
}
