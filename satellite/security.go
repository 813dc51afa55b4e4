package satellite

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Values of the configuration key security, and of Status.Security.
const (
	securityPlain  = "plain"
	securityMutual = "mutual-tls"
)

// handshakeTimeout is for the agent's port, where strangers may come: a board's
// own peer is on the same network and needs a fraction of it.
const handshakeTimeout = 5 * time.Second

// security is how a module's link is protected. Until it is configured, and on a
// plain link, there is no store.
type security struct {
	log        *securityLog
	configured atomic.Bool
	opened     atomic.Pointer[identity.Store]
}

func newSecurity(logger *zap.Logger) *security {
	return &security{log: newSecurityLog(logger.Named("security"))}
}

// configure reads the configuration keys. A link that is to be protected never
// becomes a plain one: what is missing for it is an error.
func (s *security) configure(mode, directory string) error {
	s.configured.Store(true)
	switch mode {
	case "", securityPlain:
		return nil
	case securityMutual:
	default:
		return fmt.Errorf("satellite: the configuration key security is %q: it must be %s or %s", mode, securityPlain, securityMutual)
	}
	if directory == "" {
		return errors.New("satellite: security is mutual-tls, but the configuration key identity_directory is empty: " +
			"make this board's identity with satkeys create and name its directory")
	}
	store, err := identity.Open(directory, identity.Options{Logger: s.log.logger})
	if errors.Is(err, identity.ErrMissing) {
		return fmt.Errorf("satellite: security is mutual-tls, but this board has no identity: make one with satkeys create %s: %w", directory, err)
	}
	if err != nil {
		return fmt.Errorf("satellite: security is mutual-tls, but this board's identity cannot be used: %w", err)
	}
	s.opened.Store(store)
	return nil
}

// store is the board's identity, nil on a plain link.
func (s *security) store() *identity.Store { return s.opened.Load() }

func (s *security) mutual() bool { return s.store() != nil }

// announce says at the start how the link is protected.
func (s *security) announce(danger, remedy string) {
	if !s.mutual() {
		s.log.logger.Warn("the link is neither encrypted nor authenticated: set security to mutual-tls on both boards, which satkeys pairs (see doc/security.md)",
			zap.String("event", EventPlain), zap.String("danger", danger), zap.String("otherwise", remedy))
		return
	}
	own, trust := s.store().Identity(), s.store().Trust()
	s.log.logger.Info("the link is encrypted, and both boards prove who they are", zap.String("event", EventProtected),
		zap.String("serial", own.Serial), zap.Stringer("fingerprint", own.Fingerprint), zap.Time("expires", own.Expires()))
	if len(trust.Peers)+len(trust.Authorities) == 0 {
		s.log.logger.Warn("this board trusts nobody yet: run satkeys trust with the other board's fingerprint",
			zap.String("event", EventNobodyTrusted))
	}
}

// follow re-reads the files until ended is closed, and calls changed when they
// have changed.
func (s *security) follow(ended <-chan struct{}, changed func()) {
	if !s.mutual() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { s.store().Run(ctx, changed) })
	<-ended
	cancel()
	following.Wait()
}

// protectServer sets what protects the agent's port.
func (s *security) protectServer(config *rpc.ServerConfig, guard *guard) {
	if !s.mutual() {
		config.InsecurePlaintext = true
		return
	}
	config.TLS = s.store().ServerTLS()
	config.HandshakeTimeout = handshakeTimeout
	config.Admit = guard.admit
	config.OnReject = guard.reject
	guard.remedy = func(reason identity.Reason) []zap.Field { return s.remedy(reason, "main board") }
}

// remedy says what ends rejections for a reason: where the other board does not
// know this one, the command that it has to run.
func (s *security) remedy(reason identity.Reason, other string) []zap.Field {
	if reason != identity.RefusedUs {
		return nil
	}
	own := s.store().Identity()
	return []zap.Field{zap.String("remedy", "run on the "+other+": satkeys trust DIRECTORY "+own.Fingerprint.String()+" --serial "+own.Serial)}
}

// protectClient sets what protects the controller's connection.
func (s *security) protectClient(config *rpc.Config, serial string, accepted func(identity.Peer)) {
	if !s.mutual() {
		config.InsecurePlaintext = true
		return
	}
	config.TLS = s.store().ClientTLS(serial, accepted)
}

// status is the part of a Status that tells of security.
func (s *security) status(peer *identity.Peer) (status securityStatus) {
	status.rejected = s.log.rejections.Load()
	switch {
	case s.mutual():
		status.mode, status.expires = securityMutual, s.store().Identity().Expires()
	case s.configured.Load():
		status.mode = securityPlain
	}
	if peer != nil {
		status.serial, status.fingerprint = peer.Serial, peer.Fingerprint.String()
	}
	return status
}

type securityStatus struct {
	mode, serial, fingerprint string
	expires                   time.Time
	rejected                  uint64
}

// tell fills in a control socket's answer.
func (s securityStatus) tell(link *control.Link) {
	link.Security, link.PeerSerial, link.PeerFingerprint, link.PeersRejected = s.mode, s.serial, s.fingerprint, s.rejected
	if !s.expires.IsZero() {
		link.CertificateExpires = &s.expires
	}
}

// expectedSerial is the serial number of the only satellite that a controller
// takes, empty for every one that it trusts.
func (p controllerParameters) expectedSerial() (string, error) {
	named, byName := strings.CutPrefix(p.Hostname, "serial:")
	switch {
	case p.SatelliteSerial == "":
		if !byName {
			return "", nil
		}
		return named, identity.CheckSerial(named)
	case byName && named != p.SatelliteSerial:
		return "", fmt.Errorf("satellite: hostname is %s, but satellite_serial is %s: leave one of them out", p.Hostname, p.SatelliteSerial)
	}
	return p.SatelliteSerial, identity.CheckSerial(p.SatelliteSerial)
}

// hostOf is the address without the port, so that one board counts as one.
func hostOf(address net.Addr) string {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return address.String()
}
