package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Values of the configuration key security.
const (
	Plain     = "plain"
	MutualTLS = "mutual-tls"
)

// Protection is how a module's link is protected. Until it is configured, and on a plain link, it has no store.
type Protection struct {
	log        *securityLog
	configured atomic.Bool
	store      atomic.Pointer[identity.Store]
	// directory is the configuration key identity_directory.
	directory string
	// serials are the serial numbers that peers have proven.
	serials serialKeys
}

// NewProtection returns a protection whose lines go to the logger named "security" below this one.
func NewProtection(logger *zap.Logger) *Protection {
	return &Protection{log: newSecurityLog(logger.Named("security"))}
}

// Configure reads the configuration keys security and identity_directory. It returns an error where a protected link
// lacks something.
func (p *Protection) Configure(security, directory string) error {
	p.directory = directory
	p.configured.Store(true)
	switch security {
	case "", Plain:
		return nil
	case MutualTLS:
	default:
		return fmt.Errorf("satellite: the configuration key security is %q: it must be %s or %s", security, Plain, MutualTLS)
	}
	if directory == "" {
		return errors.New("satellite: security is mutual-tls, but the configuration key identity_directory is empty: " +
			"make this board's identity with satkeys create and name its directory")
	}
	store, err := identity.Open(directory, identity.Options{Logger: p.log.logger})
	if errors.Is(err, identity.ErrMissing) {
		return fmt.Errorf("satellite: security is mutual-tls, but this board has no identity: make one with satkeys create %s: %w", directory, err)
	}
	if err != nil {
		return fmt.Errorf("satellite: security is mutual-tls, but this board's identity cannot be used: %w", err)
	}
	p.store.Store(store)
	return nil
}

// Store returns the board's identity and trust, nil on a plain link.
func (p *Protection) Store() *identity.Store { return p.store.Load() }

// IsMutual reports whether both boards prove their identity.
func (p *Protection) IsMutual() bool { return p.Store() != nil }

// LogStart logs how the link is protected. danger and remedy are logged for a plain link.
func (p *Protection) LogStart(danger, remedy string) {
	if !p.IsMutual() {
		p.log.logger.Warn("the link is neither encrypted nor authenticated: set security to mutual-tls on both boards, which satkeys pairs (see doc/security.md)",
			zap.String("event", eventPlain), zap.String("danger", danger), zap.String("otherwise", remedy))
		return
	}
	own, trust := p.Store().Identity(), p.Store().Trust()
	p.log.logger.Info("the link is encrypted, and both boards prove who they are", zap.String("event", eventProtected),
		zap.String("serial", own.Serial), zap.Stringer("fingerprint", own.Fingerprint), zap.Time("expires", own.Expires()))
	if len(trust.Peers)+len(trust.Authorities) == 0 {
		p.log.logger.Warn("this board trusts nobody yet: run satkeys trust with the other board's fingerprint",
			zap.String("event", eventNobodyTrusted))
	}
	p.logRepeated()
}

// logRepeated logs which serial numbers several trusted keys have.
func (p *Protection) logRepeated() {
	trust := p.Store().Trust()
	if what := repeated(trust, p.directory); what != "" {
		p.log.logger.Warn("several trusted keys have one serial number: untrust the old one after a change of keys, else give each board its own number",
			zap.String("event", eventSerialRepeated), zap.Strings("serials", trust.Repeated()))
	}
}

// accepted logs a peer that has proven its identity, and remembers its key.
func (p *Protection) accepted(address string, peer identity.Peer) {
	p.log.accepted(address, peer)
	switch before, inTurn := p.serials.use(peer); {
	case before == nil:
	case inTurn:
		p.log.logger.Warn("two boards have one serial number: two keys prove it in turn; give each board its own with satkeys create",
			zap.String("event", eventSerialRepeated), zap.String("serial", peer.Serial), zap.String("address", address),
			zap.Stringer("fingerprint", peer.Fingerprint), zap.Stringer("before", before))
	default:
		p.log.logger.Warn("a serial number is proven by another key than before: the board was replaced or changed its key, or two boards have that number",
			zap.String("event", eventKeyChanged), zap.String("serial", peer.Serial), zap.String("address", address),
			zap.Stringer("fingerprint", peer.Fingerprint), zap.Stringer("before", before))
	}
}

// Follow reads changed files until ended is closed. It calls changed after the identity or the trust has changed. On a
// plain link it returns at once.
func (p *Protection) Follow(ended <-chan struct{}, changed func()) {
	if !p.IsMutual() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		p.Store().Run(ctx, func() {
			p.logRepeated()
			changed()
		})
	})
	<-ended
	cancel()
	following.Wait()
}

// remedy returns a log field with the command that the other board has to run, or nil where no command ends rejections
// for that reason.
func (p *Protection) remedy(reason identity.Reason, other string) []zap.Field {
	if reason != identity.RefusedUs {
		return nil
	}
	own := p.Store().Identity()
	return []zap.Field{zap.String("remedy", "run on the "+other+": satkeys trust DIRECTORY "+own.Fingerprint.String()+" --serial "+own.Serial)}
}

// Status is a snapshot of a link's protection.
type Status struct {
	// Security is Plain or MutualTLS, empty before the configuration is read.
	Security string
	// PeerSerial and PeerFingerprint are those of the last peer that proved its identity.
	PeerSerial, PeerFingerprint string
	// Expires is the end of this board's certificate, zero on a plain link.
	Expires time.Time
	// Rejected counts the rejected peers.
	Rejected uint64
	// KeyConflict says in sentences which serial numbers several keys have, empty where none has.
	KeyConflict string
}

func (p *Protection) status(peer *identity.Peer) Status {
	status := Status{Rejected: p.log.rejections.Load()}
	switch {
	case p.IsMutual():
		status.Security, status.Expires = MutualTLS, p.Store().Identity().Expires()
		status.KeyConflict = strings.Join(append(p.serials.conflicts(), repeated(p.Store().Trust(), p.directory)), " ")
		status.KeyConflict = strings.TrimSpace(status.KeyConflict)
	case p.configured.Load():
		status.Security = Plain
	}
	if peer != nil {
		status.PeerSerial, status.PeerFingerprint = peer.Serial, peer.Fingerprint.String()
	}
	return status
}

// Fill copies the status into the status socket's reply.
func (s Status) Fill(link *control.Link) {
	link.Security, link.PeerSerial, link.PeerFingerprint, link.PeersRejected = s.Security, s.PeerSerial, s.PeerFingerprint, s.Rejected
	link.KeyConflict = s.KeyConflict
	if !s.Expires.IsZero() {
		link.CertificateExpires = &s.Expires
	}
}
