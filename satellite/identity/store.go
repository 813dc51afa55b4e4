package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options say how a Store behaves. The zero value is good.
type Options struct {
	// Logger is told of changed files and of certificates that expire. Each line
	// has the field event with one of the texts of this package's Event
	// constants. Nil: nobody.
	Logger *zap.Logger
	// WarnBefore is how long before the end of a certificate's validity warnings
	// begin. Default 30 days.
	WarnBefore time.Duration
	// Interval is how often Run looks at the files. Default 10 s.
	Interval time.Duration
	// Now is time.Now unless it is set.
	Now func() time.Time
}

// What a Store logs, as the field event.
const (
	EventReloaded     = "identity_reloaded"
	EventReloadFailed = "identity_reload_failed"
	EventExpiring     = "identity_expiring"
	EventExpired      = "identity_expired"
	EventClock        = "clock_implausible"
)

// Store is a board's identity and trust as they stand in the files at the moment.
// All methods may be used concurrently.
type Store struct {
	directory string
	options   Options

	lock     sync.Mutex
	identity Identity
	trust    Trust
	// marks are the files as they were read last, failures why they could not be.
	marks    map[string]fs.FileInfo
	failures map[string]string
}

// Open reads a board's identity and trust. It fails where there is no identity;
// that nobody is trusted is no error.
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
		s.changed(name)
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

// Trust returns whom the board trusts. The caller must not change what is in it.
func (s *Store) Trust() Trust {
	_, trust := s.current()
	return trust
}

// Verify is Trust.Verify at the present time.
func (s *Store) Verify(chain []*x509.Certificate, role Role, serial string) (Peer, error) {
	identity, trust := s.current()
	return trust.Verify(chain, role, serial, s.options.Now(), identity.Leaf().NotBefore)
}

// current re-reads the files that have changed.
func (s *Store) current() (Identity, Trust) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.changed(identityFile) {
		identity, err := Load(s.directory)
		if s.reloaded(identityFile, err) {
			s.identity = identity
		}
	}
	if s.changed(trustedFile) {
		trust, err := LoadTrust(s.directory)
		if s.reloaded(trustedFile, err) {
			s.trust = trust
		}
	}
	return s.identity, s.trust
}

// changed tells whether a file is another one than was read last, and remembers
// it. A file that is gone is left alone: it is on its way to be replaced, or
// somebody's mistake, and what was in it stays valid.
func (s *Store) changed(name string) bool {
	info, err := os.Stat(filepath.Join(s.directory, name))
	if err != nil {
		return false
	}
	last := s.marks[name]
	s.marks[name] = info
	return last == nil || !os.SameFile(last, info) || !last.ModTime().Equal(info.ModTime()) ||
		last.Size() != info.Size() || last.Mode() != info.Mode()
}

func (s *Store) reloaded(name string, err error) bool {
	path := filepath.Join(s.directory, name)
	if err != nil {
		// It is tried again: what is wrong may be the directory, or a want of descriptors.
		delete(s.marks, name)
		if s.failures[name] == err.Error() {
			return false
		}
		s.failures[name] = err.Error()
		s.options.Logger.Error("the changed file cannot be used: what was read before stays in force",
			zap.String("event", EventReloadFailed), zap.String("file", path), zap.Error(err))
		return false
	}
	delete(s.failures, name)
	s.options.Logger.Info("the changed file was read", zap.String("event", EventReloaded), zap.String("file", path))
	return true
}

// Run follows the files and warns of the end of certificates, until the context
// ends. It calls changed, if that is not nil, after each time that the identity or
// the trust was read anew, by whomever.
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

// sameTrust tells whether both were read at once.
func sameTrust(one, other Trust) bool {
	return sameSlice(one.Peers, other.Peers) && sameSlice(one.Authorities, other.Authorities)
}

func sameSlice[T any](one, other []T) bool {
	return len(one) == len(other) && (len(one) == 0 || &one[0] == &other[0])
}
