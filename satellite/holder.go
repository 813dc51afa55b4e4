package satellite

import (
	"crypto/x509"
	"sync"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// holder is the controller to whom an agent's protected link belongs: the first
// trusted board that announces itself. Another trusted board is kept out as long
// as the two have agreed, or the holder is connected. A board whose key was
// rotated stays the same one: its serial number counts. The zero value belongs to
// nobody.
type holder struct {
	lock sync.Mutex
	// serial is the holder's, empty while there is none.
	serial string
	// last is who was let in last as the holder.
	last *identity.Peer
	// peers are who is behind the connections.
	peers map[*rpc.Session]identity.Peer
}

// come lets a connection in, or not.
func (h *holder) come(session *rpc.Session, peer identity.Peer, agreed bool) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	if h.taken(peer.Serial, agreed) {
		return false
	}
	if h.peers == nil {
		h.peers = make(map[*rpc.Session]identity.Peer)
	}
	h.peers[session] = peer
	if h.serial == peer.Serial {
		h.last = &peer
	}
	return true
}

// taken tells whether the link belongs to a board with another serial number.
func (h *holder) taken(serial string, agreed bool) bool {
	if h.serial == "" || h.serial == serial {
		return false
	}
	if agreed {
		return true
	}
	for _, other := range h.peers {
		if other.Serial == h.serial {
			return true
		}
	}
	return false
}

// claim gives the link to whom announces itself on a connection, and returns the
// connections of others, which have to go. It is false where the link belongs to
// another one.
func (h *holder) claim(session *rpc.Session, agreed bool) (others []*rpc.Session, ok bool) {
	h.lock.Lock()
	defer h.lock.Unlock()
	peer, known := h.peers[session]
	if !known {
		// The link is plain: nobody has proven anything.
		return nil, true
	}
	if h.taken(peer.Serial, agreed) {
		return nil, false
	}
	h.serial, h.last = peer.Serial, &peer
	for other, peer := range h.peers {
		if peer.Serial != h.serial {
			others = append(others, other)
		}
	}
	return others, true
}

// leave forgets a connection.
func (h *holder) leave(session *rpc.Session) {
	h.lock.Lock()
	defer h.lock.Unlock()
	delete(h.peers, session)
}

// who returns the controller to whom the link belongs, nil for none.
func (h *holder) who() *identity.Peer {
	h.lock.Lock()
	defer h.lock.Unlock()
	return h.last
}

// connections returns who is behind which connection.
func (h *holder) connections() map[*rpc.Session]identity.Peer {
	h.lock.Lock()
	defer h.lock.Unlock()
	copied := make(map[*rpc.Session]identity.Peer, len(h.peers))
	for session, peer := range h.peers {
		copied[session] = peer
	}
	return copied
}

// come is OnSession: it lets the connection in, or closes it before anything of
// it is read.
func (a *Agent) come(session *rpc.Session) {
	if !a.security.mutual() {
		a.sessions.begin(session)
		return
	}
	remote := session.RemoteAddr()
	peer, err := a.verify(session.PeerCertificates())
	switch {
	case err != nil:
		// The trust was withdrawn since the handshake.
		a.guard.reject(remote, err)
		session.Close()
		return
	case !a.holder.come(session, peer, a.agreed()):
		a.guard.settle(remote, false)
		a.security.log.rejected(remote.String(), ReasonNotController, errNotController(peer))
		session.Close()
		return
	}
	a.guard.settle(remote, true)
	a.security.log.accepted(remote.String(), peer)
	a.sessions.begin(session)
	// Trust that was withdrawn while the connection was not known yet has not found it.
	a.trustChanged()
}

func (a *Agent) verify(chain []*x509.Certificate) (identity.Peer, error) {
	return a.security.store().Verify(chain, identity.Controller, "")
}

// gone is OnSessionEnd; it returns false for a connection that was not let in.
func (a *Agent) gone(session *rpc.Session) bool {
	a.holder.leave(session)
	return a.sessions.number(session) != 0
}

// announced gives the link to the controller that announces itself on a
// connection.
func (a *Agent) announced(session *rpc.Session) error {
	others, ok := a.holder.claim(session, a.agreed())
	if !ok {
		session.Close()
		return rpc.NoReply
	}
	for _, other := range others {
		peer, err := a.verify(other.PeerCertificates())
		if err == nil {
			err = errNotController(peer)
		}
		a.security.log.rejected(other.RemoteAddr().String(), ReasonNotController, err)
		other.Close()
	}
	return nil
}

// agreed tells whether a controller and this agent have agreed.
func (a *Agent) agreed() bool {
	select {
	case <-a.met:
		return true
	default:
		return false
	}
}

// trustChanged closes the connections of whom is trusted no more.
func (a *Agent) trustChanged() {
	for session, peer := range a.holder.connections() {
		if _, err := a.verify(session.PeerCertificates()); err != nil {
			a.security.log.dropped(session.RemoteAddr().String(), peer, err)
			session.Close()
		}
	}
}

func errNotController(peer identity.Peer) error {
	return &identity.PeerError{Reason: ReasonNotController, Serial: peer.Serial, Fingerprint: peer.Fingerprint}
}
