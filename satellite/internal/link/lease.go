package link

import (
	"context"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// lease holds commands back whose connection the controller may have given up: handshake.Lease. Its methods may be
// called from any goroutine.
type lease struct {
	mu      sync.Mutex
	started time.Time
	conn    handshake.ConnID
	timeout time.Duration
	state   handshake.Lease
	// changed is closed at the next change; nil while nobody waits for it.
	changed chan struct{}
}

// settle runs after each step of the handshake, before the replies of that step are sent. conn is the link's
// connection, 0 without one.
func (l *lease) settle(conn handshake.ConnID, timeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timeout = timeout
	if l.conn == conn {
		return
	}
	l.conn, l.state = conn, handshake.Lease{}
	if conn != 0 {
		l.state.Begin(time.Since(l.started))
	}
	l.notifyLocked()
}

// called records a call of link_events. replied records that the reply to one is sent.
func (l *lease) called(conn handshake.ConnID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == conn {
		l.state.Called()
		l.notifyLocked()
	}
}

func (l *lease) replied(conn handshake.ConnID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == conn {
		l.state.Replied(time.Since(l.started))
	}
}

// await waits until a command of a connection may begin. The error is a refusal where the connection is not the link's
// any more, or rpc.NoReply where the connection has ended.
func (l *lease) await(ctx context.Context, conn handshake.ConnID) error {
	for {
		changed, err := l.check(conn)
		if changed == nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return rpc.NoReply
		}
	}
}

// check returns a channel that is closed at the next change, or nil where the command may begin, or must not.
func (l *lease) check(conn handshake.ConnID) (changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.conn != conn:
		return nil, notTheLink
	case l.state.Holds(time.Since(l.started), l.timeout):
		return nil, nil
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed, nil
}

func (l *lease) notifyLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}
