package link

import (
	"context"
	"sync"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// keeper keeps the controller's newest connection and its link. At most one connection is open. The zero value has
// none.
type keeper struct {
	mu     sync.Mutex
	newest *connection
	// dialect is the link, nil before an agreement. A link that can be resumed stays while there is no connection.
	dialect  dialect
	agreed   bool
	isolated bool
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
	// abandoned is closed when the connection is not the newest any more.
	abandoned chan struct{}
	// work holds functions for the connection's goroutine. The handshake has at most one call of each function under
	// way, so there is always room.
	work   chan func(context.Context, *rpc.Client)
	client *rpc.Client // nil until it is made
}

// open begins an attempt to connect. The context ends with the attempt or its connection.
func (k *keeper) open(id handshake.ConnID) (context.Context, *connection) {
	ctx, cancel := context.WithCancel(context.Background())
	opened := &connection{
		id: id, cancel: cancel, abandoned: make(chan struct{}), work: make(chan func(context.Context, *rpc.Client), 16),
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest, k.agreed = opened, false
	k.notifyLocked()
	return ctx, opened
}

// abandon ends a connection or the attempt to make one.
func (k *keeper) abandon(id handshake.ConnID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newest != nil && k.newest.id == id {
		k.newest.cancel()
		close(k.newest.abandoned)
		k.newest, k.agreed = nil, false
		k.notifyLocked()
	}
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
	return k.agreed || k.resumableLocked()
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

// agree records an agreement, or the resumption of one, on the newest connection.
func (k *keeper) agree(agreed dialect) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.agreed, k.isolated, k.dialect = true, false, agreed
	k.notifyLocked()
}

// isolate ends the link, so that no call waits for its resumption.
func (k *keeper) isolate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.agreed, k.isolated, k.dialect = false, true, nil
	k.notifyLocked()
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
	case k.resumableLocked():
		w.dialect = k.dialect
		if k.over {
			break
		}
		if k.changed == nil {
			k.changed = make(chan struct{})
		}
		w.changed = k.changed
	}
	return w
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

// link returns the link, also while it is being resumed, or nil.
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
