package discovery

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/satellite/identity"
)

// WatchConfig configures a Watcher.
type WatchConfig struct {
	Serial string
	// Verified means that the caller makes each board prove its serial number, as mutual TLS does, and tries all boards
	// of a Location. What a sender announces or takes back then changes nothing of what other senders announced, and
	// boards with one serial number are no conflict.
	Verified bool
	// Interfaces are the names of the interfaces on which to look for the serial number. At least one is needed. An
	// interface that does not exist yet is used once it comes up.
	Interfaces []string
	// Logger receives the log. Where Logger is nil, nothing is logged.
	Logger *zap.Logger
}

// Watcher follows one serial number. Run is called once. The other methods may be called at any time from any
// goroutine.
type Watcher struct {
	config  WatchConfig
	log     *zap.Logger
	restart chan struct{}

	mu       sync.Mutex
	location Location
	changed  chan struct{}
}

// NewWatcher returns a watcher that Run starts. It returns an error where the configuration is not valid.
func NewWatcher(config WatchConfig) (*Watcher, error) {
	if err := identity.CheckSerial(config.Serial); err != nil {
		return nil, err
	}
	if err := checkInterfaces(config.Interfaces); err != nil {
		return nil, err
	}
	return &Watcher{
		config: config, log: loggerOf(config.Logger, "watch").With(zap.String("serial", config.Serial)),
		restart: make(chan struct{}, 1), location: Location{Serial: config.Serial}, changed: make(chan struct{}),
	}, nil
}

// Run watches until the context ends. It logs failures and retries.
func (w *Watcher) Run(ctx context.Context) {
	withNetwork(ctx, w.config.Interfaces, w.log, func(n *network) {
		c := newCache(w.config.Serial, w.config.Verified)
		if err := browse(ctx, n, c, w.restart, func(now time.Time) { w.update(c.locate(now, w.config.Serial)) }); err != nil {
			w.log.Error("cannot ask for satellites", zap.Error(err))
		}
	})
}

// Location returns where the satellite is, and a channel that is closed when that changes.
func (w *Watcher) Location() (Location, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.location, w.changed
}

// Query sends a query soon, at most one a second. Call Query when connecting to the location failed.
func (w *Watcher) Query() {
	select {
	case w.restart <- struct{}{}:
	default:
	}
}

func (w *Watcher) update(location Location) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if location.equal(w.location) {
		return
	}
	before := len(w.location.Boards)
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
	case w.config.Verified:
		if before < 2 {
			w.log.Warn("several boards announce the serial number: each has to prove it", zap.Error(err))
		}
	case location.Settled:
		w.log.Error("satellite is ambiguous", zap.Error(err))
	default:
		w.log.Warn("satellite may be ambiguous: all boards are asked", zap.Error(err))
	}
}
