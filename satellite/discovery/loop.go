package discovery

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// openInterval is when sockets that could not be opened are tried again.
	openInterval = 10 * time.Second
	// refreshInterval is how often interfaces are read where the system does not report changes, and
	// slowRefreshInterval where it does.
	refreshInterval     = 2 * time.Second
	slowRefreshInterval = time.Minute
)

// loop is what the goroutine that owns a network does.
type loop struct {
	// refresh is called when interfaces may have changed, receive for each packet, and onSignal for each value in
	// signal.
	refresh  func()
	receive  func(packet)
	signal   <-chan struct{}
	onSignal func()
	// work is called after each of them, and at the time that next returns.
	work func()
	next func() (time.Time, bool)
}

// run runs a loop until the context ends.
func (n *network) run(ctx context.Context, l loop) {
	l.refresh()
	every := slowRefreshInterval
	if n.changes == nil {
		every = refreshInterval
	}
	refresh := time.NewTicker(every)
	defer refresh.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Hour
		if due, any := l.next(); any {
			wait = max(0, time.Until(due))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-n.changes:
			l.refresh()
		case <-refresh.C:
			l.refresh()
		case <-l.signal:
			l.onSignal()
		case <-timer.C:
		case p := <-n.packets:
			l.receive(p)
		}
		l.work()
	}
}

// withNetwork calls use with open sockets. It tries to open them until the context ends.
func withNetwork(ctx context.Context, names []string, log *zap.Logger, use func(*network)) {
	logged := ""
	for ctx.Err() == nil {
		n, err := openNetwork(names, log)
		if err == nil {
			defer n.close()
			use(n)
			return
		}
		if err.Error() != logged {
			logged = err.Error()
			log.Error("no multicast DNS: tried again", zap.Duration("next_attempt_in", openInterval), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(openInterval):
		}
	}
}
