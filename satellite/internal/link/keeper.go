package link

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// keeper keeps the controller's newest connection and its link. At most one connection is open. The zero value has
// none.
type keeper struct {
	mu     sync.Mutex
	newest *connection
	// last is the connection that was opened last, also when it has ended.
	last *connection
	// dialect is the link, nil before an agreement. A link that can be resumed stays while there is no connection.
	dialect dialect
	agreed  bool
	// isolated: the port is out of service. parted: the peer left as expected. No call waits then for the link to be
	// resumed, which may happen all the same.
	isolated, parted bool
	// over is set when no further connection will be made.
	over bool
	// end is why the newest connection ended, nil where this board ended it.
	end error
	// changed is closed at the next change; nil while nobody waits for it.
	changed chan struct{}
}

// connection is one connection, or the attempt to make one.
type connection struct {
	id     handshake.ConnID
	cancel context.CancelFunc
	// abandoned is closed when the connection is not the newest any more, weighed when it has ended and the path was
	// judged by it. before is the connection before, nil for the first.
	abandoned, weighed chan struct{}
	before             *connection
	// work holds functions for the connection's goroutine. The handshake has at most one call of each function under
	// way, so there is always room.
	work   chan func(context.Context, *rpc.Client)
	client *rpc.Client // nil until it is made
	// again makes the connection's goroutine connect once more, with smaller segments.
	again chan struct{}
	// greeted is when the agent answered link_hello, nil before.
	greeted atomic.Pointer[time.Time]
}

// open begins an attempt to connect. The context ends with the attempt or its connection.
func (k *keeper) open(id handshake.ConnID) (context.Context, *connection) {
	ctx, cancel := context.WithCancel(context.Background())
	opened := &connection{
		id: id, cancel: cancel, abandoned: make(chan struct{}), weighed: make(chan struct{}), work: make(chan func(context.Context, *rpc.Client), 16),
		again: make(chan struct{}, 1),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	opened.before, k.last = k.last, opened
	k.newest, k.agreed = opened, false
	k.notifyLocked()
	return ctx, opened
}

// abandon ends a connection or the attempt to make one. It reports whether that was the newest.
func (k *keeper) abandon(id handshake.ConnID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest == nil || k.newest.id != id {
		return false
	}
	k.newest.cancel()
	close(k.newest.abandoned)
	k.newest, k.agreed = nil, false
	k.notifyLocked()
	return true
}

// connected records an attempt that succeeded.
func (k *keeper) connected(conn *connection, client *rpc.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	conn.client, k.end = client, nil
}

// ended records that the peer or the network has ended a connection. It reports whether both sides had agreed on it, or
// a link is to be resumed.
func (k *keeper) ended(conn *connection, err error) (linked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest == conn {
		k.end = err
	}
	return k.agreed || k.resumableLocked() && !k.isolated && !k.parted
}

// do makes a connection's goroutine call work. It drops work where the connection is not the newest any more.
func (k *keeper) do(id handshake.ConnID, work func(context.Context, *rpc.Client)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest == nil || k.newest.id != id {
		return
	}
	select {
	case k.newest.work <- work:
	default: // its goroutine has ended
	}
}

// connectAgain replaces a connection whose agent speaks legacy by one with small segments. Such a link does not outlive
// its connection, so there is none from which it could learn that long packets are swallowed. It reports whether the
// connection is the newest.
func (k *keeper) connectAgain(id handshake.ConnID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest == nil || k.newest.id != id {
		return false
	}
	k.newest.again <- struct{}{} // once for each connection: there is room
	return true
}

// agree records an agreement, or the resumption of one, on the newest connection.
func (k *keeper) agree(agreed dialect) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.agreed, k.isolated, k.parted, k.dialect = true, false, false, agreed
	k.notifyLocked()
}

// leaveService records that the port is isolated, or that the peer has parted: no call waits for the link any more.
// Without canResume the link is given up.
func (k *keeper) leaveService(isolated, canResume bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.isolated != isolated || k.parted == isolated {
		k.agreed, k.isolated, k.parted = false, isolated, !isolated
		k.notifyLocked()
	}
	if !canResume {
		k.dialect = nil
	}
}

// finish records that no further connection will be made.
func (k *keeper) finish() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over {
		k.over = true
		k.notifyLocked()
	}
}

// way is how the satellite can be reached at the moment.
type way struct {
	// dialect is nil where there is no link, and none that may be resumed.
	dialect dialect
	// conn and client are nil while a link is being resumed. changed is closed when the caller should look again.
	// changed is nil where the link will not be resumed.
	conn     *connection
	client   *rpc.Client
	changed  <-chan struct{}
	isolated bool
}

func (k *keeper) way() way {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := way{isolated: k.isolated}
	switch {
	case k.agreed && k.connectedLocked():
		w.dialect, w.conn, w.client = k.dialect, k.newest, k.newest.client
	case k.resumableLocked() && !k.isolated:
		w.dialect = k.dialect
		if k.over || k.parted {
			break
		}
		if k.changed == nil {
			k.changed = make(chan struct{})
		}
		w.changed = k.changed
	}
	return w
}

// greet records that the agent has answered link_hello on a connection.
func (k *keeper) greet(id handshake.ConnID, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest != nil && k.newest.id == id {
		k.newest.greeted.Store(&now)
	}
}

// current returns the newest connection, with or without a link, or nil.
func (k *keeper) current() *rpc.Client {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest == nil {
		return nil
	}
	return k.newest.client
}

// link returns the link, also while it may be resumed, or nil.
func (k *keeper) link() dialect {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.agreed || k.resumableLocked() {
		return k.dialect
	}
	return nil
}

// lastEnd returns why the newest connection ended, nil where this board ended it.
func (k *keeper) lastEnd() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.end
}

func (k *keeper) connectedLocked() bool {
	return k.newest != nil && k.newest.client != nil && k.newest.client.Err() == nil
}

func (k *keeper) resumableLocked() bool { return k.dialect != nil && k.dialect.resumable() }

func (k *keeper) notifyLocked() {
	if k.changed != nil {
		close(k.changed)
		k.changed = nil
	}
}
