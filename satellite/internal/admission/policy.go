// Package admission decides which peers a board accepts: which connections the agent's port admits, and which satellite
// the controller connects to. It also decides what an unauthenticated peer may do.
//
//	connection accepted
//	   |
//	limiter.admit      before a byte is read: the failures of the address
//	connectionLimit    before a byte is read: the connection is pending, and may have to make room for another
//	   |
//	TLS handshake      package identity verifies the peer's certificate against the trust of this board
//	   |
//	Policy.Admit       the lease: one controller holds the agent, another trusted board is rejected
//	   |
//	Policy.Claim       the peer announces itself and gets the lease
//	   |
//	Policy.Accept      the connection is the link's, and pending no more
//	   |
//	Policy.RefusesPrivileged, Policy.RefusesTakeover      on a plain link: what an unauthenticated peer may not do
//
// On a plain link the limiter and the lease are not used: no peer proves its identity there.
//
// The other side of the link is a [Dialer]: it connects to a satellite, verifies it, and closes a connection whose
// trust was withdrawn.
//
// What the package promises:
//   - A link that is configured as mutual-tls never becomes a plain one.
//   - Failures and floods from other addresses do not keep the last controller out. It has places of its own, which the
//     board remembers across restarts where the module has a state directory.
//   - A connection that does not become the link's is reset within pendingTimeout. Memory for such connections is
//     bounded: their number, their messages, and the sum of what is unfinished.
//   - Memory and log lines are bounded: maxAddresses addresses, and rejectionBurst lines, then rejectionRate a second.
//     Rejections beyond are counted.
//   - Each decision is one line of the security log with a stable field event: doc/logs.md.
//
// All types may be used from any goroutine.
package admission

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// Policy decides which connections the agent's port admits, and what their peers may do.
type Policy struct {
	protection *Protection
	log        *securityLog
	limiter    *limiter
	lease      lease
	// connections are the pending ones.
	connections connectionLimit[*rpc.Session]
	// listener is the port, nil before Listen.
	listener atomic.Pointer[net.Listener]
	// file keeps the peer's address, nil without a state directory. changed has a value where the file is out of date.
	file    *peerFile
	changed chan struct{}
	// refuse is set where the configuration key unauthenticated_control refuses privileged commands on a plain link.
	refuse    bool
	heartbeat heartbeat
}

// NewPolicy returns the policy of an agent whose link has this protection.
func NewPolicy(protection *Protection) *Policy {
	remedy := func(reason identity.Reason) []zap.Field { return protection.remedy(reason, "main board") }
	return &Policy{
		protection: protection, log: protection.log, limiter: newLimiter(protection.log, remedy),
		heartbeat: heartbeat{started: time.Now()}, changed: make(chan struct{}, 1),
	}
}

// Configure reads the configuration key unauthenticated_control. Empty is its default.
func (p *Policy) Configure(unauthenticatedControl string) error {
	switch unauthenticatedControl {
	case "", "allow":
		p.refuse = false
	case "refuse":
		p.refuse = true
	default:
		return fmt.Errorf("satellite: the configuration key unauthenticated_control is %q: it must be allow or refuse", unauthenticatedControl)
	}
	return nil
}

// handshakeTimeout bounds a TLS handshake at the agent's port. The peer is on the same network and needs a fraction.
const handshakeTimeout = 5 * time.Second

// ProtectServer configures the protection of the agent's port.
func (p *Policy) ProtectServer(config *rpc.ServerConfig) {
	config.Connections = maxSessions
	config.Limits.UnfinishedBytes = maxUnfinished
	config.Admit, config.OnReject = p.open, p.reject
	store := p.protection.Store()
	if store == nil {
		config.InsecurePlaintext = true
		return
	}
	config.TLS = store.ServerTLS()
	config.HandshakeTimeout = handshakeTimeout
}

// Listen opens the agent's port. The system keeps places for the link's peer there, too.
func (p *Policy) Listen(address string) (net.Listener, error) {
	listener, err := listen(address, p.connections.peerHost())
	if err == nil {
		p.listener.Store(&listener)
	}
	return listener, err
}

// listen opens a port whose peer is a host, which may be empty. On Linux the listener is a preferrer.
var listen = func(address, _ string) (net.Listener, error) { return listenOnce(address) }

// A port that was closed stays in use while a process that was forked at that moment still has it, for about a millisecond.
const (
	freeLimit = time.Second
	freePause = 5 * time.Millisecond
)

// listenOnce opens a port that nobody has. It tries again while the port is in use, for up to freeLimit.
func listenOnce(address string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // before Linux 6.17 its segments cannot be limited
	for began := time.Now(); ; time.Sleep(freePause) {
		listener, err := config.Listen(context.Background(), "tcp", address)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Since(began) > freeLimit {
			return listener, err
		}
	}
}

// preferrer is a listener that has places for one host.
type preferrer interface {
	prefer(host string) error
}

// open admits an accepted connection, which is pending then. Another one may have to make room.
func (p *Policy) open(session *rpc.Session) error {
	remote := session.RemoteAddr()
	if p.protection.IsMutual() {
		if err := p.limiter.admit(remote, hostOf(remote) == p.connections.peerHost()); err != nil {
			return err
		}
	}
	if dropped, full := p.connections.add(session); full {
		p.drop(dropped, errTooManyConnections)
	}
	return nil
}

// drop resets a connection that is pending no more.
func (p *Policy) drop(session *rpc.Session, reason error) {
	session.Reset()
	p.log.rejected(session.RemoteAddr().String(), reasonOf(reason), reason)
}

// reject takes a connection that ended before Admit. A connection that was dropped has been logged.
func (p *Policy) reject(session *rpc.Session, err error) {
	if p.connections.remove(session) {
		p.limiter.reject(session.RemoteAddr(), err)
	}
}

// Admit reports whether a connection is admitted, and closes it otherwise. It is for the server's OnSession, before
// anything of the connection is read. agreed means that a controller and the agent have agreed.
func (p *Policy) Admit(session *rpc.Session, agreed bool) bool {
	session.SetFrameSize(maxPendingMessage)
	p.connections.start(session, func() { p.drop(session, errSilent) })
	if !p.protection.IsMutual() {
		return true
	}
	remote := session.RemoteAddr()
	peer, err := p.verify(session)
	switch {
	case err != nil:
		// The trust was withdrawn after the handshake.
		p.limiter.reject(remote, err)
		session.Close()
		return false
	case !p.lease.admit(session, peer, agreed):
		p.log.rejected(remote.String(), reasonNotController, errNotController(peer))
		session.Close()
		return false
	}
	p.protection.accepted(remote.String(), peer)
	// A withdrawal of trust just before the lease had the connection did not close it.
	p.TrustChanged()
	return true
}

// Claim assigns the lease to the peer that announces itself on a connection, and closes the connections of other
// boards. Where another board holds the lease it closes the connection and returns false.
func (p *Policy) Claim(session *rpc.Session, agreed bool) bool {
	others, ok := p.lease.claim(session, agreed)
	if !ok {
		session.Close()
		return false
	}
	p.connections.announce(session)
	for _, other := range others {
		peer, err := p.verify(other)
		if err == nil {
			err = errNotController(peer)
		}
		p.log.rejected(other.RemoteAddr().String(), reasonNotController, err)
		other.Close()
	}
	return true
}

// Accept makes a connection the link's: it is not limited any more, and its address has places of its own from now on.
func (p *Policy) Accept(session *rpc.Session) {
	session.SetFrameSize(0)
	if !p.connections.accept(session) {
		return
	}
	p.prefer(p.connections.peerHost())
	if p.file == nil {
		return
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// prefer gives the places of the peer at the port to a host.
func (p *Policy) prefer(host string) {
	opened := p.listener.Load()
	if opened == nil {
		return
	}
	if port, ok := (*opened).(preferrer); ok {
		if err := port.prefer(host); err != nil {
			p.log.logger.Warn("the controller has no places of its own at the port", zap.Error(err))
		}
	}
}

// Leave forgets a connection that has ended.
func (p *Policy) Leave(session *rpc.Session) {
	p.connections.remove(session)
	p.lease.leave(session)
}

// Recall reads the address of the peer that this board had before the process started. The file may be missing. Without
// a path Recall does nothing.
func (p *Policy) Recall(path string) {
	if path == "" {
		return
	}
	p.file = &peerFile{path: path}
	address, err := p.file.read()
	if err != nil {
		p.log.logger.Warn("the address of the last controller cannot be read: it has no places of its own yet", zap.Error(err))
	}
	p.connections.setPeer(address)
}

// Remember keeps the address of the link's peer in the state directory until ended is closed.
func (p *Policy) Remember(ended <-chan struct{}) {
	for {
		select {
		case <-p.changed:
			if err := p.file.write(p.connections.peerHost()); err != nil {
				p.log.logger.Warn("the address of the controller cannot be kept: it has no places of its own after a restart", zap.Error(err))
			}
		case <-ended:
			return
		}
	}
}

// TrustChanged closes the connections of peers that are not trusted any more.
func (p *Policy) TrustChanged() {
	for session, peer := range p.lease.connections() {
		if _, err := p.verify(session); err != nil {
			p.log.dropped(session.RemoteAddr().String(), peer, err)
			session.Close()
		}
	}
}

// Status returns the status of the link's protection, with the controller that holds the lease.
func (p *Policy) Status() Status { return p.protection.status(p.lease.current()) }

func (p *Policy) verify(session *rpc.Session) (identity.Peer, error) {
	return p.protection.Store().Verify(session.PeerCertificates(), identity.Controller, "")
}

func errNotController(peer identity.Peer) error {
	return &identity.PeerError{Reason: reasonNotController, Serial: peer.Serial, Fingerprint: peer.Fingerprint}
}

// RefusesPrivileged reports whether a privileged function is refused, because nobody has authenticated its caller. It
// logs the call either way.
func (p *Policy) RefusesPrivileged(session *rpc.Session, function string) bool {
	if p.protection.IsMutual() {
		return false
	}
	remote := "unknown"
	if session != nil {
		remote = session.RemoteAddr().String()
	}
	if p.refuse {
		p.log.logger.Warn("function refused: the link is not authenticated, and unauthenticated_control is refuse; set security to mutual-tls to allow it",
			zap.String("event", eventControlRefused), zap.String("function", function), zap.String("address", remote))
		return true
	}
	p.log.logger.Warn("function that controls this board, called on a link that is not authenticated",
		zap.String("event", eventControlUnauthenticated), zap.String("function", function), zap.String("address", remote))
	return false
}

// minTimeout is how long a controller counts as connected after its last call, unless it has asked for longer. A legacy
// controller polls every 25 ms.
const minTimeout = 5 * time.Second

// RefusesTakeover reports whether function is refused because it would restart this board while the controller uses
// another connection. It refuses only where unauthenticated_control is refuse and the link is plain. It closes a
// refused session. A controller that was restarted is admitted once its old connection has been silent for the timeout.
func (p *Policy) RefusesTakeover(session *rpc.Session, function string, agreed bool, timeout time.Duration) bool {
	if p.protection.IsMutual() || !p.refuse || !agreed || !p.heartbeat.isElsewhere(session, max(minTimeout, timeout)) {
		return false
	}
	p.RefusesPrivileged(session, function)
	session.Close()
	return true
}

// Heard records a heartbeat of the controller.
func (p *Policy) Heard(session *rpc.Session) { p.heartbeat.record(session) }

// heartbeat is when, and on which connection, the controller called last.
type heartbeat struct {
	started time.Time
	session atomic.Pointer[rpc.Session]
	// at is the time since started. It does not jump when a board without a battery sets its clock.
	at atomic.Int64
}

func (h *heartbeat) record(session *rpc.Session) {
	h.at.Store(int64(time.Since(h.started)))
	h.session.Store(session)
}

// isElsewhere reports whether the controller was heard on another connection within the timeout.
func (h *heartbeat) isElsewhere(session *rpc.Session, timeout time.Duration) bool {
	heard := h.session.Load()
	return heard != nil && heard != session && time.Since(h.started)-time.Duration(h.at.Load()) < timeout
}
