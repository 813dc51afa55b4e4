package identity

import (
	"crypto/x509"
	"time"

	"go.uber.org/zap"
)

// reminder warns once a day.
type reminder struct {
	last time.Time
}

func (r *reminder) remind(options Options, identity Identity, trust Trust) {
	now := options.Now()
	// A clock that was set back must not silence the warnings.
	if since := now.Sub(r.last); !r.last.IsZero() && since >= 0 && since < 24*time.Hour {
		return
	}
	r.last = now
	if begin := identity.Leaf().NotBefore; now.Before(begin) {
		options.Logger.Warn("this board's clock is behind the beginning of its own certificate: it is taken for that time",
			zap.String("event", EventClock), zap.Time("clock", now), zap.Time("valid_from", begin))
	}
	warnOfEnd(options, now, "this board's certificate", identity.Leaf())
	for _, authority := range trust.Authorities {
		warnOfEnd(options, now, "the authority's certificate", authority.Certificate)
	}
}

func warnOfEnd(options Options, now time.Time, what string, certificate *x509.Certificate) {
	log := options.Logger.With(
		zap.String("name", certificate.Subject.CommonName),
		zap.Stringer("fingerprint", FingerprintOf(certificate)),
		zap.Time("expires", certificate.NotAfter),
	)
	switch left := certificate.NotAfter.Sub(now); {
	case left < 0:
		log.Error("a certificate has expired: renew it with satkeys rotate, or satkeys ca sign",
			zap.String("event", EventExpired), zap.String("certificate", what))
	case left < options.WarnBefore:
		log.Warn("a certificate expires soon: renew it with satkeys rotate, or satkeys ca sign",
			zap.String("event", EventExpiring), zap.String("certificate", what), zap.Int("days", int(left.Hours()/24)))
	}
}
