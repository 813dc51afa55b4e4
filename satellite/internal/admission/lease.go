package admission

import (
	"maps"
	"sync"

	"github.com/remotechargeport/remotechargeport/rpc"
	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// lease records which controller holds the agent's protected link: the first trusted board that announces itself.
// Another trusted board is rejected while the two have agreed, or while the holder is connected. A board whose key was
// rotated stays the holder, since its serial number counts. The zero value has no holder.
type lease struct {
	mu sync.Mutex
	// serial is the holder's, empty while there is none.
	serial string
	// holder is the peer that was admitted last as the holder.
	holder *identity.Peer
	// peers are the peers of the admitted connections.
	peers map[*rpc.Session]identity.Peer
}

// admit reports whether a connection of the peer is admitted, and remembers the connection then. agreed means that the
// holder and the agent have agreed.
func (l *lease) admit(session *rpc.Session, peer identity.Peer, agreed bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isHeldLocked(peer.Serial, agreed) {
		return false
	}
	if l.peers == nil {
		l.peers = make(map[*rpc.Session]identity.Peer)
	}
	l.peers[session] = peer
	if l.serial == peer.Serial {
		l.holder = &peer
	}
	return true
}

// isHeldLocked reports whether a board with another serial number holds the lease.
func (l *lease) isHeldLocked(serial string, agreed bool) bool {
	if l.serial == "" || l.serial == serial {
		return false
	}
	if agreed {
		return true
	}
	for _, other := range l.peers {
		if other.Serial == l.serial {
			return true
		}
	}
	return false
}

// claim assigns the lease to the peer that announced itself on session. It returns the other peers' connections, which
// the caller must close. It returns false where another board holds the lease.
func (l *lease) claim(session *rpc.Session, agreed bool) (others []*rpc.Session, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	peer, known := l.peers[session]
	if !known {
		return nil, true // the link is plain: no peer has proven its identity
	}
	if l.isHeldLocked(peer.Serial, agreed) {
		return nil, false
	}
	l.serial, l.holder = peer.Serial, &peer
	for other, peer := range l.peers {
		if peer.Serial != l.serial {
			others = append(others, other)
		}
	}
	return others, true
}

// leave forgets a connection.
func (l *lease) leave(session *rpc.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, session)
}

// current returns the holder, nil while there is none.
func (l *lease) current() *identity.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder
}

// connections returns the peers of the admitted connections.
func (l *lease) connections() map[*rpc.Session]identity.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.peers)
}
