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
	// maxAddresses is how many addresses are remembered. The one that was seen longest ago is forgotten first.
	maxAddresses = 1024
)

var errRateLimited = errors.New("satellite: too many failed attempts from this address")

// limiter limits the failed handshakes of an address on a protected link. A TLS handshake costs milliseconds of
// computing, and a failed one also a line of the log.
type limiter struct {
	log *securityLog
	// remedy returns log fields with the command that ends rejections for a reason.
	remedy func(identity.Reason) []zap.Field

	mu        sync.Mutex
	addresses map[string]*list.Element
	// seen has the *address values, the one seen last in front.
	seen *list.List
}

// address is the record of one address.
type address struct {
	host     string
	failures *rate.Limiter
	// refused is true from the first connection that was refused to the next that is admitted. One line of the log
	// covers all of them.
	refused bool
}

func newLimiter(log *securityLog, remedy func(identity.Reason) []zap.Field) *limiter {
	return &limiter{log: log, remedy: remedy, addresses: make(map[string]*list.Element), seen: list.New()}
}

// admit returns an error where a connection is refused for the failures of its address, before anything is read from
// the connection. The link's peer is exempt.
func (l *limiter) admit(remote net.Addr, isPeer bool) error {
	first, err := l.decide(hostOf(remote), isPeer)
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
func (l *limiter) decide(host string, isPeer bool) (first bool, err error) {
	now := l.log.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.addressLocked(host)
	if !isPeer && a.failures.TokensAt(now) < 1 {
		err = errRateLimited
	}
	first = !a.refused
	a.refused = err != nil
	return first, err
}

// reject records a handshake that failed.
func (l *limiter) reject(remote net.Addr, err error) {
	// A port that was closed meanwhile is nobody's failure.
	if errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
		return
	}
	l.fail(hostOf(remote))
	reason := reasonOf(err)
	l.log.rejected(remote.String(), reason, err, l.remedy(reason)...)
}

func (l *limiter) fail(host string) {
	now := l.log.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addressLocked(host).failures.AllowN(now, 1)
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
