package admission

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Values of the field event in lines of the security log. Package identity has further ones. The texts are stable.
const (
	eventPlain         = "link_plain"
	eventProtected     = "link_protected"
	eventNobodyTrusted = "nobody_trusted"
	eventPeerAccepted  = "peer_accepted"
	eventPeerRejected  = "peer_rejected"
	// eventPeerDropped is a peer whose connection was closed because the trust in it was withdrawn.
	eventPeerDropped = "peer_dropped"
	// eventKeyChanged is a peer that proves a serial number with another key than the one before it. eventSerialRepeated
	// are two keys of one serial number, trusted or used in turn.
	eventKeyChanged     = "key_changed"
	eventSerialRepeated = "serial_repeated"
	// eventControlRefused and eventControlUnauthenticated are privileged commands on a plain link, refused or executed.
	eventControlRefused         = "control_refused"
	eventControlUnauthenticated = "control_unauthenticated"
)

// Reasons of rejected peers beside those of package identity.
const (
	reasonRateLimited   identity.Reason = "rate_limited"
	reasonTooMany       identity.Reason = "too_many"
	reasonSilent        identity.Reason = "silent"
	reasonNotController identity.Reason = "not_controller"
)

const (
	// rejectionBurst is how many rejections are logged at once.
	rejectionBurst = 100
	// rejectionRate is how many rejections a second are logged after the burst. The others are counted.
	rejectionRate = 5
)

// securityLog is the logger named "security" below the module's. It counts the rejected peers.
type securityLog struct {
	logger *zap.Logger
	// peers takes the rejections. They have a limit of their own, since each address counts.
	peers      *zap.Logger
	rejections atomic.Uint64
	now        func() time.Time

	mu         sync.Mutex
	lines      *rate.Limiter
	suppressed uint64
}

func newSecurityLog(logger *zap.Logger) *securityLog {
	return &securityLog{
		logger: everest.LimitRepeats(logger), peers: logger, now: time.Now,
		lines: rate.NewLimiter(rejectionRate, rejectionBurst),
	}
}

// rejected counts a rejected peer, and logs the rejection unless too many are logged. peer is an address.
func (l *securityLog) rejected(peer string, reason identity.Reason, err error, fields ...zap.Field) {
	l.rejections.Add(1)
	suppressed, write := l.take()
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
		zap.String("event", eventPeerRejected), zap.String("reason", string(reason)), zap.String("address", peer), zap.String("error", textOf(err)))
}

// maxRejection is how many bytes of a rejection's error are logged: parts of it may be the stranger's certificate's.
const maxRejection = 500

func textOf(err error) string {
	text := err.Error()
	if len(text) > maxRejection {
		text = strings.ToValidUTF8(text[:maxRejection], "") + "..."
	}
	return text
}

// take reports whether a line may be written. suppressed counts the lines since the last one that were not.
func (l *securityLog) take() (suppressed uint64, write bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lines.AllowN(l.now(), 1) {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}

func (l *securityLog) accepted(address string, peer identity.Peer) {
	l.logger.Info("peer accepted", zap.String("event", eventPeerAccepted), zap.String("address", address),
		zap.String("serial", peer.Serial), zap.Stringer("fingerprint", peer.Fingerprint), zap.String("authority", peer.Authority))
}

func (l *securityLog) dropped(address string, peer identity.Peer, err error) {
	l.logger.Warn("connection closed: the trust in the peer was withdrawn", zap.String("event", eventPeerDropped),
		zap.String("address", address), zap.String("serial", peer.Serial), zap.Stringer("fingerprint", peer.Fingerprint), zap.Error(err))
}

// reasonOf returns the reason of a rejection: one of this package, else the one of package identity.
func reasonOf(err error) identity.Reason {
	switch {
	case errors.Is(err, errSilent):
		return reasonSilent
	case errors.Is(err, errTooManyConnections), errors.Is(err, rpc.ErrTooManyConnections):
		return reasonTooMany
	case errors.Is(err, errRateLimited):
		return reasonRateLimited
	}
	return identity.ReasonOf(err)
}
