package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options configures a Store. The zero value is usable.
type Options struct {
	// Logger takes the lines about changed files and expiring certificates; nil means none. Each line has the field
	// event with a stable text: doc/logs.md.
	Logger *zap.Logger
	// WarnBefore is the time between the first warning and the expiry of a certificate. The default is 30 days.
	WarnBefore time.Duration
	// Interval is how often Run checks the files. The default is 10 s.
	Interval time.Duration
	// Now is time.Now by default.
	Now func() time.Time
}

// Values of the field event.
const (
	eventReloaded     = "identity_reloaded"
	eventReloadFailed = "identity_reload_failed"
	eventTrustRemoved = "trust_removed"
	eventExpiring     = "identity_expiring"
	eventExpired      = "identity_expired"
	eventClock        = "clock_implausible"
)

// Store is a board's identity and trust. It reads the files again when they have changed. All methods may be used
// concurrently.
type Store struct {
	directory string
	options   Options

	mu       sync.Mutex
	identity Identity
	trust    Trust
	// marks are the files as they were read last, failures the errors of those that could not be read.
	marks    map[string]fs.FileInfo
	failures map[string]string
}

// Open reads a board's identity and trust. It fails where there is no identity. An empty trust is not an error.
func Open(directory string, options Options) (*Store, error) {
	if options.Logger == nil {
		options.Logger = zap.NewNop()
	}
	if options.WarnBefore <= 0 {
		options.WarnBefore = 30 * 24 * time.Hour
	}
	if options.Interval <= 0 {
		options.Interval = 10 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Store{directory: directory, options: options, marks: make(map[string]fs.FileInfo), failures: make(map[string]string)}
	for _, name := range []string{identityFile, trustedFile} {
		s.changed(name) // an error comes again below
	}
	var err, err2 error
	s.identity, err = Load(directory)
	s.trust, err2 = LoadTrust(directory)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return s, nil
}

// Identity returns the board's identity.
func (s *Store) Identity() Identity {
	identity, _ := s.current()
	return identity
}

// Trust returns the board's trust. The caller must not change its slices.
func (s *Store) Trust() Trust {
	_, trust := s.current()
	return trust
}

// Verify calls Trust.Verify with the store's trust at the present time.
func (s *Store) Verify(chain []*x509.Certificate, role Role, serial string) (Peer, error) {
	identity, trust := s.current()
	return trust.Verify(chain, role, serial, s.options.Now(), identity.Leaf().NotBefore)
}

// current reads the files again that have changed.
func (s *Store) current() (Identity, Trust) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch changed, err := s.changed(identityFile); {
	case err != nil:
		s.reloaded(identityFile, err)
	case changed:
		identity, err := Load(s.directory)
		if s.reloaded(identityFile, err) {
			s.identity = identity
		}
	}
	switch changed, err := s.changed(trustedFile); {
	case errors.Is(err, fs.ErrNotExist):
		s.withdraw()
	case err != nil:
		s.reloaded(trustedFile, err)
	case changed:
		trust, err := LoadTrust(s.directory)
		if s.reloaded(trustedFile, err) {
			s.trust = trust
		}
	}
	return s.identity, s.trust
}

// changed reports whether a file was replaced or changed since it was read, and marks it as read. It fails where the
// file is gone.
func (s *Store) changed(name string) (bool, error) {
	info, err := os.Stat(filepath.Join(s.directory, name))
	if err != nil {
		delete(s.marks, name)
		return false, err
	}
	last := s.marks[name]
	s.marks[name] = info
	return last == nil || !os.SameFile(last, info) || !last.ModTime().Equal(info.ModTime()) ||
		last.Size() != info.Size() || last.Mode() != info.Mode(), nil
}

// withdraw withdraws all trust, because its file was removed. Files are replaced by a rename, so this is no moment
// between two versions.
func (s *Store) withdraw() {
	delete(s.failures, trustedFile)
	if len(s.trust.Peers)+len(s.trust.Authorities) == 0 {
		return
	}
	s.trust = Trust{}
	s.options.Logger.Warn("the file of trusted peers was removed: this board trusts nobody now",
		zap.String("event", eventTrustRemoved), zap.String("file", filepath.Join(s.directory, trustedFile)))
}

func (s *Store) reloaded(name string, err error) bool {
	path := filepath.Join(s.directory, name)
	if err != nil {
		// It is read again the next time: the cause may be the directory, or a lack of file descriptors.
		delete(s.marks, name)
		if s.failures[name] == err.Error() {
			return false
		}
		s.failures[name] = err.Error()
		s.options.Logger.Error("the changed file cannot be used: what was read before stays in force",
			zap.String("event", eventReloadFailed), zap.String("file", path), zap.Error(err))
		return false
	}
	delete(s.failures, name)
	s.options.Logger.Info("the changed file was read", zap.String("event", eventReloaded), zap.String("file", path))
	return true
}

// Run checks the files and the expiry of certificates until the context ends. After a new identity or trust was read,
// by Run or by another method, Run calls changed unless changed is nil.
func (s *Store) Run(ctx context.Context, changed func()) {
	ticker := time.NewTicker(s.options.Interval)
	defer ticker.Stop()
	var reminder reminder
	identity, trust := s.current()
	for {
		reminder.remind(s.options, identity, trust)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		before, marks := identity, trust
		identity, trust = s.current()
		if changed != nil && (before.Leaf() != identity.Leaf() || !sameTrust(marks, trust)) {
			changed()
		}
	}
}

// sameTrust reports whether both come from the same reading of the file.
func sameTrust(one, other Trust) bool {
	return sameSlice(one.Peers, other.Peers) && sameSlice(one.Authorities, other.Authorities)
}

func sameSlice[T any](one, other []T) bool {
	return len(one) == len(other) && (len(one) == 0 || &one[0] == &other[0])
}

// ServerTLS returns the agent's TLS 1.3 configuration: it proves the board's identity, and accepts the controllers that
// the board trusts. Each handshake uses the identity and trust of that moment.
func (s *Store) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAnyClientCert, // VerifyConnection checks the certificate
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			certificate := s.Identity().Certificate
			return &certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := s.Verify(state.PeerCertificates, Controller, "")
			return err
		},
		// A ticket would outlive a withdrawn trust.
		SessionTicketsDisabled: true,
	}
}

// ClientTLS returns the controller's TLS 1.3 configuration: it proves the board's identity, and accepts a satellite
// that the board trusts. Where serial is not empty, only the satellite with that serial number is accepted. If the
// function accepted is not nil, it is called with each accepted satellite before the handshake ends. Each handshake
// uses the identity and trust of that moment.
func (s *Store) ClientTLS(serial string, accepted func(Peer)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The serial number replaces the host name. VerifyConnection checks the certificate.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := s.Identity().Certificate
			return &certificate, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			peer, err := s.Verify(state.PeerCertificates, Satellite, serial)
			if err == nil && accepted != nil {
				accepted(peer)
			}
			return err
		},
	}
}

// reminder logs warnings once a day.
type reminder struct {
	last time.Time
}

func (r *reminder) remind(options Options, identity Identity, trust Trust) {
	now := options.Now()
	// A clock that was set back must not suppress the warnings.
	if since := now.Sub(r.last); !r.last.IsZero() && since >= 0 && since < 24*time.Hour {
		return
	}
	r.last = now
	if begin := identity.Leaf().NotBefore; now.Before(begin) {
		options.Logger.Warn("this board's clock is behind the beginning of its own certificate: it is taken for that time",
			zap.String("event", eventClock), zap.Time("clock", now), zap.Time("valid_from", begin))
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
			zap.String("event", eventExpired), zap.String("certificate", what))
	case left < options.WarnBefore:
		log.Warn("a certificate expires soon: renew it with satkeys rotate, or satkeys ca sign",
			zap.String("event", eventExpiring), zap.String("certificate", what), zap.Int("days", int(left.Hours()/24)))
	}
}
