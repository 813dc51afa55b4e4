package discovery

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How often the network is asked: at first after a second, then half as often
// each time. A record lives four times as long as the longest pause, so no single
// lost packet makes a board vanish.
const (
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// asker decides when to ask. The zero value asks at once.
type asker struct {
	last, next time.Time
	pause      time.Duration
}

// urge begins anew with short pauses.
func (a *asker) urge(now time.Time) {
	a.pause = firstPause
	if earliest := a.last.Add(firstPause); earliest.After(now) {
		now = earliest
	}
	if now.Before(a.next) {
		a.next = now
	}
}

// due tells whether to ask now, and if so takes it as done.
func (a *asker) due(now time.Time) bool {
	if now.Before(a.next) {
		return false
	}
	a.pause = max(a.pause, firstPause)
	a.last, a.next = now, now.Add(a.pause)
	a.pause = min(2*a.pause, mostPause)
	return true
}

// browse asks and listens until the context ends, and calls update after
// anything that may have changed the book.
func browse(ctx context.Context, n *network, ask <-chan struct{}, update func(time.Time, *book)) error {
	query, err := packQuestion()
	if err != nil {
		return err
	}
	b, asking, urged := newBook(), asker{}, time.Time{}
	look := func() {
		changed, gone := n.refresh()
		for _, name := range gone {
			b.forget(time.Now(), name)
		}
		if len(changed) > 0 {
			asking.urge(time.Now())
		}
	}
	next := func() (time.Time, bool) {
		if due, any := b.next(time.Now()); any && due.Before(asking.next) {
			return due, true
		}
		return asking.next, true
	}
	work := func() {
		now := time.Now()
		b.pass(now)
		if since := b.asking(); since.After(urged) {
			urged = since
			asking.urge(now)
		}
		if asking.due(now) {
			var packets []outgoing
			for name := range n.links {
				packets = append(packets, outgoing{network: name, packet: query})
			}
			n.send(packets)
		}
		update(now, b)
	}
	hear := func(h heard) {
		// RFC 6762 section 6: a response from another port is none.
		if m, _ := parse(h.packet); m.response && h.from.Port() == groupPort && n.onLink(h.network, h.from.Addr()) {
			b.hear(time.Now(), h.network, m.records)
		}
	}
	n.serve(ctx, duties{
		look: look, hear: hear, work: work, next: next,
		ask: ask, asked: func() { asking.urge(time.Now()) },
	})
	return nil
}

// WatchConfig configures a Watcher.
type WatchConfig struct {
	// Serial is the serial number to find.
	Serial string
	// Interfaces are the names of the interfaces on which to look for it. At
	// least one is needed; none needs to be there yet.
	Interfaces []string
	// Logger takes the log; nil takes none.
	Logger *zap.Logger
}

// Watcher follows one serial number. Run is called once; the other methods may be
// called at any time from any goroutine.
type Watcher struct {
	config WatchConfig
	log    *zap.Logger
	ask    chan struct{}

	lock     sync.Mutex
	location Location
	changed  chan struct{}
}

// NewWatcher returns a watcher that Run starts, or an error where the
// configuration is not valid.
func NewWatcher(config WatchConfig) (*Watcher, error) {
	if err := CheckSerial(config.Serial); err != nil {
		return nil, err
	}
	if err := checkInterfaces(config.Interfaces); err != nil {
		return nil, err
	}
	return &Watcher{
		config: config, log: loggerOf(config.Logger, "watch").With(zap.String("serial", config.Serial)),
		ask: make(chan struct{}, 1), location: Location{Serial: config.Serial}, changed: make(chan struct{}),
	}, nil
}

// Run watches until the context ends. What goes wrong is logged and tried again.
func (w *Watcher) Run(ctx context.Context) {
	withNetwork(ctx, w.config.Interfaces, w.log, func(n *network) {
		if err := browse(ctx, n, w.ask, w.update); err != nil {
			w.log.Error("cannot ask for satellites", zap.Error(err))
		}
	})
}

// Location returns where the satellite is, and a channel that is closed when that
// changes.
func (w *Watcher) Location() (Location, <-chan struct{}) {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.location, w.changed
}

// Ask asks the network now, at most once a second: what is known did not lead to
// the satellite.
func (w *Watcher) Ask() {
	select {
	case w.ask <- struct{}{}:
	default:
	}
}

func (w *Watcher) update(now time.Time, b *book) {
	location := b.locate(now, w.config.Serial)
	w.lock.Lock()
	defer w.lock.Unlock()
	if location.equal(w.location) {
		return
	}
	w.location = location
	close(w.changed)
	w.changed = make(chan struct{})
	switch err := location.Err(); {
	case err == nil && !location.Settled:
		w.log.Debug("satellite heard", zap.String("host", location.Boards[0].Host))
	case err == nil:
		w.log.Info("satellite found", zap.Stringers("addresses", location.Boards[0].Endpoints()), zap.String("host", location.Boards[0].Host))
	case len(location.Boards) == 0:
		w.log.Warn("satellite is not announced any more")
	case location.Settled:
		w.log.Error("satellite is ambiguous", zap.Error(err))
	default:
		w.log.Warn("satellite may be ambiguous: all boards are asked", zap.Error(err))
	}
}

// Discover lists the satellites that are heard on the interfaces until the
// context ends: give it one with a time limit of a few seconds. It returns an
// error only where it could not ask at all. The boards are sorted by serial
// number; two with one serial number are two entries.
func Discover(ctx context.Context, interfaces []string) ([]Satellite, error) {
	if err := checkInterfaces(interfaces); err != nil {
		return nil, err
	}
	n, err := openNetwork(interfaces, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer n.close()
	var found []Satellite
	err = browse(ctx, n, nil, func(now time.Time, b *book) { found = b.all(now) })
	return found, err
}
