package admission

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// pendingTimeout is how long a connection may be pending before it is reset. A controller sends its first call at
	// once. TCP repeats a lost segment after at most 1 s and again after 2 s more, so that two losses in a row still
	// fit. A controller itself waits 5 s for the reply.
	pendingTimeout = 5 * time.Second
	// maxPending is how many connections of one address may be pending, maxPendingAll how many of all addresses. The
	// address of the link's peer has its maxPending places beside those. A connection beyond takes the place of another.
	maxPending    = 8
	maxPendingAll = 32
	// maxPendingMessage is the longest message of a pending connection in bytes. The calls by which a controller
	// announces itself have less than 100.
	maxPendingMessage = 1 << 20
	// maxUnfinished bounds the unfinished messages of all connections in bytes: one of the link, for which the buffer
	// grows to 12 MiB, and those of the pending connections.
	maxUnfinished = 24 << 20
	// maxSessions is the server's own limit. It is above what is ever open: those that are pending and those that end.
	maxSessions = 1024
)

var (
	errTooManyConnections = errors.New("satellite: too many connections are not the link's: this one made room for another")
	errSilent             = errors.New("satellite: the connection has not become the link's within 5 s")
)

// connection is what the limit needs of an *rpc.Session.
type connection interface {
	comparable
	RemoteAddr() net.Addr
	// Silent reports whether the peer has sent nothing yet.
	Silent() bool
}

// connectionLimit limits the connections of strangers. A connection is pending from its acceptance until it becomes the
// link's. Where all places are taken, a pending connection chosen at random makes room for a new one, silent ones first:
// connections that are only held open can so not keep a controller out, which calls at once and needs its place for a
// moment. The link's own connections do not count.
type connectionLimit[C connection] struct {
	mu      sync.Mutex
	pending map[C]*pending
	// peer is the address of the link's peer, empty before the first link.
	peer string
}

// pending is a pending connection.
type pending struct {
	host string
	// sent is true once the peer is known to have sent something, announced once it has announced itself as a controller.
	sent, announced bool
	// timer ends the connection, nil before start.
	timer *time.Timer
}

// add adds a connection. It returns the connection that must be reset for it, if there is one.
func (l *connectionLimit[C]) add(conn C) (dropped C, full bool) {
	host := hostOf(conn.RemoteAddr())
	l.mu.Lock()
	defer l.mu.Unlock()
	if dropped, full = l.victimLocked(host); full {
		l.removeLocked(dropped)
	}
	if l.pending == nil {
		l.pending = make(map[C]*pending)
	}
	l.pending[conn] = &pending{host: host}
	return dropped, full
}

// victimLocked chooses the connection that makes room for one of a host: where the host has all of its places, one of
// its own, else one of the hosts that have most. The places of the link's peer are its own.
func (l *connectionLimit[C]) victimLocked(host string) (victim C, full bool) {
	own, strangers := 0, 0
	for _, p := range l.pending {
		if p.host == host {
			own++
		}
		if p.host != l.peer {
			strangers++
		}
	}
	switch {
	case own >= maxPending:
		return l.anyLocked(func(p *pending) bool { return p.host == host }), true
	case host == l.peer || strangers < maxPendingAll:
		return victim, false
	}
	counts, most := make(map[string]int), 0
	for _, p := range l.pending {
		if p.host != l.peer {
			counts[p.host]++
			most = max(most, counts[p.host])
		}
	}
	return l.anyLocked(func(p *pending) bool { return p.host != l.peer && counts[p.host] == most }), true
}

// anyLocked returns one of the chosen connections at random, of those that have done least. In a flood of silent
// connections it looks at few sockets, because the time that a new connection costs decides how many others wait.
func (l *connectionLimit[C]) anyLocked(chosen func(*pending) bool) (victim C) {
	var candidates []C
	for conn, p := range l.pending {
		if chosen(p) {
			candidates = append(candidates, conn)
		}
	}
	rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	least := 3
	for _, conn := range candidates {
		done := l.doneLocked(conn)
		if done < least {
			victim, least = conn, done
		}
		if done == 0 {
			break
		}
	}
	return victim
}

// doneLocked returns 0 for a silent connection, 1 for one that has sent something, and 2 for one that has announced
// itself.
func (l *connectionLimit[C]) doneLocked(conn C) int {
	switch p := l.pending[conn]; {
	case p.announced:
		return 2
	case p.sent || !conn.Silent():
		p.sent = true
		return 1
	}
	return 0
}

// start starts the time that a connection has. Expired is called at its end, where the connection is still pending.
func (l *connectionLimit[C]) start(conn C, expired func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pending[conn]; p != nil {
		p.timer = time.AfterFunc(pendingTimeout, func() {
			if l.remove(conn) {
				expired()
			}
		})
	}
}

// announce notes that the peer of a connection has announced itself.
func (l *connectionLimit[C]) announce(conn C) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pending[conn]; p != nil {
		p.announced = true
	}
}

// accept ends the pending of a connection that has become the link's. It reports whether its address is a new peer.
func (l *connectionLimit[C]) accept(conn C) (isNew bool) {
	host := hostOf(conn.RemoteAddr())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(conn)
	isNew = l.peer != host
	l.peer = host
	return isNew
}

// remove forgets a connection. It reports whether the connection was pending.
func (l *connectionLimit[C]) remove(conn C) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removeLocked(conn)
}

func (l *connectionLimit[C]) removeLocked(conn C) bool {
	p := l.pending[conn]
	if p != nil && p.timer != nil {
		p.timer.Stop()
	}
	delete(l.pending, conn)
	return p != nil
}

// peerHost returns the address of the link's peer.
func (l *connectionLimit[C]) peerHost() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peer
}

// setPeer sets the address of the peer that this board had before the process started.
func (l *connectionLimit[C]) setPeer(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peer = host
}
