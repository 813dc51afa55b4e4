package admission

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

const (
	// maxFailures is how many handshakes of one address may fail at once before its connections are refused.
	maxFailures = 20
	// failureRate is how many further failures a second one address may cause.
	failureRate = 0.5
	// maxPending is how many handshakes one address may have under way, maxPendingAll how many all together.
	maxPending    = 8
	maxPendingAll = 64
	// maxAddresses is how many addresses are remembered. The one that was seen longest ago is forgotten first.
	maxAddresses = 1024
)

var (
	errRateLimited       = errors.New("satellite: too many failed attempts from this address")
	errTooManyHandshakes = errors.New("satellite: too many handshakes are under way")
)

// limiter limits the handshakes of strangers on a protected link. A TLS handshake costs milliseconds of computing, and
// a failed one also a line of the log.
type limiter struct {
	log *securityLog
	// remedy returns log fields with the command that ends rejections for a reason.
	remedy func(identity.Reason) []zap.Field

	mu      sync.Mutex
	pending int
	// known is the address of the last controller.
	known     string
	addresses map[string]*list.Element
	// seen has the *address values, the one seen last in front.
	seen *list.List
}

// address is the record of one address.
type address struct {
	host     string
	pending  int
	failures *rate.Limiter
	// refused is true from the first connection that was refused to the next that is admitted. One line of the log
	// covers all of them.
	refused bool
}

func newLimiter(log *securityLog, remedy func(identity.Reason) []zap.Field) *limiter {
	return &limiter{log: log, remedy: remedy, addresses: make(map[string]*list.Element), seen: list.New()}
}

// admit returns an error where a connection is refused, before anything is read from the connection. Each admitted
// connection must be followed by a call of accept or reject.
func (l *limiter) admit(remote net.Addr) error {
	first, err := l.decide(hostOf(remote))
	switch {
	case err == nil:
	case first:
		l.log.rejected(remote.String(), reasonOf(err), err)
	default:
		l.log.rejections.Add(1)
	}
	return err
}

// decide decides about a connection from a host. first reports that the host's connection before was not refused.
func (l *limiter) decide(host string) (first bool, err error) {
	now := l.log.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.addressLocked(host)
	switch {
	case a.pending >= maxPending:
		err = errTooManyHandshakes
	case host == l.known:
	case a.failures.TokensAt(now) < 1:
		err = errRateLimited
	case l.pending >= maxPendingAll:
		err = errTooManyHandshakes
	}
	first = !a.refused
	a.refused = err != nil
	if err == nil {
		a.pending++
		l.pending++
	}
	return first, err
}

// accept ends a handshake in which the peer has proven its identity. isController is false for a trusted board that is
// rejected because another board holds the lease.
func (l *limiter) accept(remote net.Addr, isController bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	host := hostOf(remote)
	if isController {
		l.known = host
	}
	l.leaveLocked(host)
}

// reject ends a handshake that failed.
func (l *limiter) reject(remote net.Addr, err error) {
	// A port that was closed meanwhile is nobody's failure.
	closed := errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed)
	l.fail(hostOf(remote), !closed)
	if closed {
		return
	}
	reason := reasonOf(err)
	l.log.rejected(remote.String(), reason, err, l.remedy(reason)...)
}

func (l *limiter) fail(host string, counts bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.leaveLocked(host)
	if counts {
		a.failures.AllowN(l.log.now(), 1)
	}
}

func (l *limiter) leaveLocked(host string) *address {
	a := l.addressLocked(host)
	if a.pending > 0 { // the address may have been forgotten meanwhile
		a.pending--
	}
	l.pending--
	return a
}

func (l *limiter) addressLocked(host string) *address {
	if element := l.addresses[host]; element != nil {
		l.seen.MoveToFront(element)
		return element.Value.(*address)
	}
	if l.seen.Len() >= maxAddresses {
		oldest := l.seen.Back()
		delete(l.addresses, oldest.Value.(*address).host)
		l.seen.Remove(oldest)
	}
	a := &address{host: host, failures: rate.NewLimiter(failureRate, maxFailures)}
	l.addresses[host] = l.seen.PushFront(a)
	return a
}

// hostOf returns the address without the port, so that one board counts as one.
func hostOf(address net.Addr) string {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return address.String()
}
