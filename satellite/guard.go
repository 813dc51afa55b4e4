package satellite

import (
	linked "container/list"
	"context"
	"errors"
	"net"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// What the agent's port bears of those who have not proven who they are.
const (
	// An address may fail so often at once, and then so many times a second.
	guardFailures     = 20
	guardFailuresRate = 0.5
	// So many handshakes may be under way from one address, and from all.
	guardPending    = 8
	guardPendingAll = 64
	// So many addresses are remembered: those that were seen last.
	guardAddresses = 1024
)

var (
	errRateLimited       = errors.New("satellite: too many failed attempts from this address")
	errTooManyHandshakes = errors.New("satellite: too many handshakes are under way")
)

// guard stands at the agent's port when the link is protected. It limits what
// strangers can make the board do: each handshake costs milliseconds of
// computing, each failure a line in the log. The address of the controller that
// was there last is never kept out for what others did.
type guard struct {
	log *securityLog
	// remedy says what ends rejections for a reason, as fields of their lines; nil
	// knows none.
	remedy func(identity.Reason) []zap.Field

	lock    sync.Mutex
	pending int
	known   string
	doors   map[string]*linked.Element
	// seen has a *door for each address, the one seen last in front.
	seen *linked.List
}

// door is what is remembered of an address.
type door struct {
	host     string
	pending  int
	failures bucket
	// closed is true from the first connection that was kept out to the next that
	// is let in: one line in the log tells of all.
	closed bool
}

func newGuard(log *securityLog) *guard {
	return &guard{log: log, doors: make(map[string]*linked.Element), seen: linked.New()}
}

// admit decides about a connection that was accepted, before anything is read
// from it. For each that it lets in, settle or reject is called.
func (g *guard) admit(remote net.Addr) error {
	host, now := hostOf(remote), g.log.now()
	g.lock.Lock()
	door := g.door(host)
	var err error
	switch {
	case door.pending >= guardPending:
		err = errTooManyHandshakes
	case host == g.known:
	case door.failures.empty(now, guardFailuresRate, guardFailures):
		err = errRateLimited
	case g.pending >= guardPendingAll:
		err = errTooManyHandshakes
	}
	tell := !door.closed
	door.closed = err != nil
	if err == nil {
		door.pending++
		g.pending++
	}
	g.lock.Unlock()
	switch {
	case err == nil:
	case tell:
		g.log.rejected(remote.String(), reasonOf(err), err)
	default:
		g.log.rejections.Add(1)
	}
	return err
}

// settle tells that a peer has proven who it is, and whether it was let in: a trusted
// board that is not the controller does not take the controller's place.
func (g *guard) settle(remote net.Addr, letIn bool) {
	g.lock.Lock()
	defer g.lock.Unlock()
	host := hostOf(remote)
	if letIn {
		g.known = host
	}
	g.leave(host)
}

// reject tells that a handshake failed.
func (g *guard) reject(remote net.Addr, err error) {
	host := hostOf(remote)
	// The port was closed meanwhile: that is nobody's failure.
	ours := errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed)
	g.lock.Lock()
	door := g.leave(host)
	if !ours {
		door.failures.take(g.log.now(), guardFailuresRate, guardFailures)
	}
	g.lock.Unlock()
	if ours {
		return
	}
	var remedy []zap.Field
	reason := reasonOf(err)
	if g.remedy != nil {
		remedy = g.remedy(reason)
	}
	g.log.rejected(remote.String(), reason, err, remedy...)
}

func (g *guard) leave(host string) *door {
	door := g.door(host)
	// An address may have been forgotten meanwhile.
	if door.pending > 0 {
		door.pending--
	}
	g.pending--
	return door
}

// door finds what is remembered of an address. The caller holds the lock.
func (g *guard) door(host string) *door {
	if element := g.doors[host]; element != nil {
		g.seen.MoveToFront(element)
		return element.Value.(*door)
	}
	if g.seen.Len() >= guardAddresses {
		oldest := g.seen.Back()
		delete(g.doors, oldest.Value.(*door).host)
		g.seen.Remove(oldest)
	}
	made := &door{host: host}
	g.doors[host] = g.seen.PushFront(made)
	return made
}
