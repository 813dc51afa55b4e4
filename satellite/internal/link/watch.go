package link

import (
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// flowing is the connection that a watch looks at: *rpc.Client or *rpc.Session.
type flowing interface {
	Flow() rpc.Flow
	AllowFragments()
}

// watch looks at the link's connection while the peer is silent for longer than a heartbeat lasts. Bytes that the path
// swallows are let through as fragments. A connection whose bytes move is kept beyond the heartbeat's timeout. Its methods
// may be called from any goroutine. An idle link costs nothing: each sign of life comes before the first look.
type watch struct {
	// suspect is called where small packets arrive and large ones do not, once for each connection.
	suspect func()

	mu      sync.Mutex
	conn    flowing
	timeout time.Duration
	timer   *time.Timer
	flow    rpc.Flow
	// heard is when the peer gave the last sign of life, moved when bytes were last seen to move.
	heard, moved time.Time
	// swallowed: the last look has seen a long packet that was sent in vain, twice at least.
	swallowed, suspected bool
}

// Between two signs of life of a peer passes a third of the timeout, so the first look is after two fifths of it.
func (w *watch) first() time.Duration { return 2 * w.timeout / 5 }
func (w *watch) next() time.Duration  { return w.timeout / 5 }

// begin looks at another connection from now on, nil for none. It does nothing where conn is looked at already.
func (w *watch) begin(conn flowing, timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == conn {
		return
	}
	w.conn, w.timeout, w.swallowed, w.suspected = conn, timeout, false, false
	w.flow, w.heard, w.moved = rpc.Flow{}, time.Now(), time.Time{}
	switch {
	case conn == nil && w.timer != nil:
		w.timer.Stop()
	case conn != nil && w.timer == nil:
		w.timer = time.AfterFunc(w.first(), w.look)
	case conn != nil:
		w.timer.Reset(w.first())
	}
}

// end ends the look at a connection.
func (w *watch) end(conn flowing) {
	w.mu.Lock()
	current := w.conn == conn
	w.mu.Unlock()
	if current {
		w.begin(nil, 0)
	}
}

// alive records a sign of life of the peer on the connection.
func (w *watch) alive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.heard = time.Now()
		w.timer.Reset(w.first())
		w.judgeLocked()
	}
}

// judgeLocked says what is suspected where a long packet that was swallowed at the last look is so still, or has passed
// as fragments.
func (w *watch) judgeLocked() {
	if w.swallowed && !w.suspected {
		w.suspected = true
		w.suspect()
	}
	w.swallowed = false
}

// look looks at a silent connection, and again later.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.lookLocked()
		w.timer.Reset(w.next())
	}
}

func (w *watch) lookLocked() {
	flow := w.conn.Flow()
	// What has been acknowledged in full is no sign that the peer's program runs.
	if flow.Received > w.flow.Received || flow.Acknowledged > w.flow.Acknowledged && flow.Waiting {
		w.moved = time.Now()
	}
	w.flow = flow
	w.judgeLocked()
	if w.swallowed = flow.Swallowed; w.swallowed {
		w.conn.AllowFragments()
	}
}

// putOff returns for how long a timer that would end the connection is put off: for the heartbeat's timeout, while bytes
// have moved within the last half of it, and no longer than limit after the last sign of life.
func (w *watch) putOff(timer handshake.Timer, limit time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.conn == nil || !timer.WatchesPeer() || now.Sub(w.heard) > limit {
		return 0
	}
	w.lookLocked()
	if w.moved.IsZero() || now.Sub(w.moved) > w.timeout/2 {
		return 0
	}
	return w.timeout
}
