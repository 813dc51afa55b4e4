package satellite

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// The security log is the logger named "security" below the module's. Each of its
// lines has a field event with one of these texts, or of those in package
// identity; the texts are stable.
const (
	// EventPlain is a start with a link that is not protected.
	EventPlain = "link_plain"
	// EventProtected is a start with mutual TLS.
	EventProtected = "link_protected"
	// EventNobodyTrusted is a start with mutual TLS on a board that trusts nobody.
	EventNobodyTrusted = "nobody_trusted"
	// EventPeerAccepted is a peer that has proven who it is; fields address,
	// serial, fingerprint and, where one vouches, authority.
	EventPeerAccepted = "peer_accepted"
	// EventPeerRejected is an attempt that failed; fields address, reason (an
	// identity.Reason or one of the Reason constants here), error, and repeats:
	// how many rejections before it were counted and not logged.
	EventPeerRejected = "peer_rejected"
	// EventPeerDropped is a peer whose connection was closed because the trust in
	// it was withdrawn.
	EventPeerDropped = "peer_dropped"
	// EventControlRefused is a function that resets or updates this board, called
	// on a link that is not authenticated, and refused; fields address, function.
	EventControlRefused = "control_refused"
	// EventControlUnauthenticated is the same, and allowed.
	EventControlUnauthenticated = "control_unauthenticated"
)

// Reasons of EventPeerRejected beside those of package identity.
const (
	// ReasonRateLimited is an address that failed too often: its connections are
	// closed at once for a while. It is logged once a while.
	ReasonRateLimited identity.Reason = "rate_limited"
	// ReasonTooMany is a connection beyond what is served at once.
	ReasonTooMany identity.Reason = "too_many"
	// ReasonNotController is a trusted board that is not the one that holds the
	// link.
	ReasonNotController identity.Reason = "not_controller"
)

// Lines about rejected peers: a burst, then so many a second.
const (
	rejectionLines     = 100
	rejectionLinesRate = 5
)

// securityLog counts rejected peers and logs them, not faster than a log can
// bear.
type securityLog struct {
	logger *zap.Logger
	// peers is for rejections, which have a limit of their own: each address counts.
	peers      *zap.Logger
	rejections atomic.Uint64
	now        func() time.Time

	lock       sync.Mutex
	lines      bucket
	suppressed uint64
}

func newSecurityLog(logger *zap.Logger) *securityLog {
	return &securityLog{logger: everest.LimitRepeats(logger), peers: logger, now: time.Now}
}

// rejected counts a rejected peer, and logs it where that is not too much.
func (l *securityLog) rejected(remote string, reason identity.Reason, err error, fields ...zap.Field) {
	l.rejections.Add(1)
	l.lock.Lock()
	write := l.lines.take(l.now(), rejectionLinesRate, rejectionLines)
	suppressed := l.suppressed
	if write {
		l.suppressed = 0
	} else {
		l.suppressed++
	}
	l.lock.Unlock()
	if !write {
		return
	}
	if peer, ok := errors.AsType[*identity.PeerError](err); ok && peer.Reason != identity.NoCertificate {
		fields = append(fields, zap.String("serial", peer.Serial), zap.Stringer("fingerprint", peer.Fingerprint))
	}
	if suppressed > 0 {
		fields = append(fields, zap.Uint64("repeats", suppressed))
	}
	l.peers.With(fields...).Warn("peer rejected",
		zap.String("event", EventPeerRejected), zap.String("reason", string(reason)), zap.String("address", remote), zap.Error(err))
}

// accepted logs a peer that has proven who it is.
func (l *securityLog) accepted(remote string, peer identity.Peer) {
	l.logger.Info("peer accepted", zap.String("event", EventPeerAccepted), zap.String("address", remote),
		zap.String("serial", peer.Serial), zap.Stringer("fingerprint", peer.Fingerprint), zap.String("authority", peer.Authority))
}

// dropped logs a peer that is trusted no more.
func (l *securityLog) dropped(remote string, peer identity.Peer, err error) {
	l.logger.Warn("connection closed: the trust in the peer was withdrawn", zap.String("event", EventPeerDropped),
		zap.String("address", remote), zap.String("serial", peer.Serial), zap.Stringer("fingerprint", peer.Fingerprint), zap.Error(err))
}

// reasonOf is identity.ReasonOf, with what a server adds.
func reasonOf(err error) identity.Reason {
	switch {
	case errors.Is(err, rpc.ErrTooManyConnections), errors.Is(err, errTooManyHandshakes):
		return ReasonTooMany
	case errors.Is(err, errRateLimited):
		return ReasonRateLimited
	}
	return identity.ReasonOf(err)
}

// bucket holds tokens that come back with time. The zero value is full.
type bucket struct {
	spent float64
	at    time.Time
}

func (b *bucket) refill(now time.Time, rate float64) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.spent = max(0, b.spent-passed*rate)
	}
	b.at = now
}

// take takes one of size tokens, of which rate come back a second.
func (b *bucket) take(now time.Time, rate, size float64) bool {
	b.refill(now, rate)
	if b.spent+1 > size {
		return false
	}
	b.spent++
	return true
}

// empty tells whether take would fail.
func (b *bucket) empty(now time.Time, rate, size float64) bool {
	b.refill(now, rate)
	return b.spent+1 > size
}
