package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	// retryOpen is when sockets that could not be opened are tried again.
	retryOpen = 10 * time.Second
	// look is how often interfaces are looked at where the system does not tell
	// of changes, and lookAnyway where it does.
	look, lookAnyway = 2 * time.Second, time.Minute
)

// Announcement is what [Announce] tells of a satellite.
type Announcement struct {
	// Serial is the board's serial number: see [CheckSerial].
	Serial string
	// ModuleID, Version and Dialects are for whoever looks; they may be empty.
	// No more than 120 bytes of each are told.
	ModuleID, Version string
	Dialects          []string
	// Port is the TCP port of the agent, at every address of the interfaces, or
	// only at Address where that is given.
	Port    int
	Address netip.Addr
	// Interfaces are the names of the interfaces to announce it on. At least
	// one is needed; none needs to be there yet.
	Interfaces []string
	// Logger takes the log; nil takes none.
	Logger *zap.Logger
}

// Check returns what is wrong with an announcement, which [Announce] would return too.
func (a Announcement) Check() error {
	if err := CheckSerial(a.Serial); err != nil {
		return err
	}
	if a.Port < 1 || a.Port > 65535 {
		return fmt.Errorf("discovery: the port %d is none: 1 to 65535", a.Port)
	}
	if a.Address.IsLoopback() {
		return fmt.Errorf("discovery: %s cannot be reached from another board, so it cannot be announced", a.Address)
	}
	return checkInterfaces(a.Interfaces)
}

// Announce announces a satellite until the context ends, then takes it back and
// returns nil. It returns an error at once where the announcement is not valid.
// Anything that goes wrong later is logged and tried again: interfaces may come
// and go, and the port of multicast DNS may be taken.
func Announce(ctx context.Context, a Announcement) error {
	if err := a.Check(); err != nil {
		return err
	}
	log := loggerOf(a.Logger, "announce")
	s := newSpeaker(a, func() time.Duration { return time.Duration(20+rand.IntN(100)) * time.Millisecond })
	withNetwork(ctx, a.Interfaces, log, func(n *network) {
		look := func() {
			n.refresh()
			for _, name := range a.Interfaces {
				addresses := n.addresses(name)
				if a.Address.IsValid() && !a.Address.IsUnspecified() {
					addresses = slices.DeleteFunc(addresses, func(address netip.Addr) bool { return address != a.Address.WithZone("").Unmap() })
				}
				s.change(time.Now(), name, addresses)
			}
		}
		hear := func(h heard) {
			m, err := parse(h.packet)
			if err != nil || m.response || !n.onLink(h.network, h.from.Addr()) {
				return
			}
			n.send(s.hear(time.Now(), h.network, h.from, m))
		}
		n.serve(ctx, duties{look: look, hear: hear, next: s.next, work: func() { n.send(s.send(time.Now())) }})
		n.send(s.goodbye())
	})
	return nil
}

func loggerOf(log *zap.Logger, name string) *zap.Logger {
	if log == nil {
		return zap.NewNop()
	}
	return log.Named("discovery").Named(name)
}

// withNetwork runs a function with open sockets; it tries to open them until the
// context ends.
func withNetwork(ctx context.Context, names []string, log *zap.Logger, use func(*network)) {
	told := ""
	for ctx.Err() == nil {
		n, err := openNetwork(names, log)
		if err == nil {
			defer n.close()
			use(n)
			return
		}
		if err.Error() != told {
			told = err.Error()
			log.Error("no multicast DNS: tried again", zap.Duration("next_attempt_in", retryOpen), zap.Error(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryOpen):
		}
	}
}

// duties are what a goroutine that owns a network does.
type duties struct {
	// look is called when interfaces may have changed, hear for each packet,
	// asked when somebody asks, and work after each of them and when next says so.
	look  func()
	hear  func(heard)
	work  func()
	next  func() (time.Time, bool)
	ask   <-chan struct{}
	asked func()
}

// serve does them until the context ends.
func (n *network) serve(ctx context.Context, d duties) {
	d.look()
	looking := time.NewTicker(lookEvery(n))
	defer looking.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := time.Hour
		if due, any := d.next(); any {
			wait = max(0, time.Until(due))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-n.changes:
			d.look()
		case <-looking.C:
			d.look()
		case <-d.ask:
			d.asked()
		case <-timer.C:
		case h := <-n.packets:
			d.hear(h)
		}
		d.work()
	}
}

func lookEvery(n *network) time.Duration {
	if n.changes == nil {
		return look
	}
	return lookAnyway
}
