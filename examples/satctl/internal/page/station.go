package page

import (
	"cmp"
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

const (
	// interval is how often everything is read.
	interval = time.Second
	// readLimit is how long one module may take to answer.
	readLimit = 2 * time.Second
	// staleAfter is the age at which the last answer no longer counts.
	staleAfter = 3 * time.Second
	// settling is how long after the start a module that appears and works is no
	// news: it was there before.
	settling = 5 * time.Second
	// mostBoards is how many control sockets are read; more are left out.
	mostBoards = 256
)

// Config of a Station.
type Config struct {
	Source Source
	// Name is the page's title.
	Name string
	// Forget is how long a module whose socket is gone stays on the page, 24 h
	// when 0.
	Forget time.Duration
	Logger *zap.Logger
}

// Station reads the modules of a station until its context ends. Its methods may
// be called from any goroutine.
type Station struct {
	config Config
	log    *zap.Logger
	began  time.Time

	lock        sync.Mutex
	boards      map[string]*board
	changes     changes
	tick        uint64
	time        time.Time
	listed      string    // the last failure to list, "" without one
	latest      *tickJSON // of tick
	full        []byte    // of tick, made when somebody asks
	subscribers map[chan struct{}]struct{}
}

// board is what is known of one control socket. The station's lock guards it.
type board struct {
	id      string
	gone    time.Time // since when there is no socket, zero while there is
	stop    context.CancelFunc
	failure string // of the last read, "" when it was answered
	asked   time.Time
	read    time.Time // when the last answer came
	watch   watch
	history history
	shown   Board
}

// NewStation returns a station that Run fills.
func NewStation(config Config) *Station {
	config.Forget = cmp.Or(config.Forget, 24*time.Hour)
	log := config.Logger
	if log == nil {
		log = zap.NewNop()
	}
	return &Station{
		config: config, log: log, began: time.Now(),
		boards: map[string]*board{}, subscribers: map[chan struct{}]struct{}{},
	}
}

// Run reads until the context ends, and returns nil then.
func (s *Station) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	s.find(ctx, &readers)
	for {
		// The readers need a moment for their first answers.
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		s.find(ctx, &readers)
		s.advance(time.Now())
	}
}

// find starts a reader for each new socket and ends those of sockets that are
// gone.
func (s *Station) find(ctx context.Context, readers *sync.WaitGroup) {
	ids, err := s.config.Source.List()
	s.lock.Lock()
	defer s.lock.Unlock()
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure != s.listed && failure != "" {
		s.log.Warn("cannot list the control sockets", zap.Error(err))
	}
	s.listed = failure
	now := time.Now()
	there := map[string]bool{}
	for _, id := range ids {
		there[id] = true
		b := s.boards[id]
		if b == nil {
			if len(s.boards) == mostBoards {
				continue
			}
			b = &board{id: id}
			b.shown = Board{ID: id, ModuleID: strings.TrimSuffix(filepath.Base(id), ".sock")}
			s.boards[id] = b
		}
		b.gone = time.Time{}
		if b.stop == nil {
			reading, stop := context.WithCancel(ctx)
			b.stop = stop
			b.asked = now
			readers.Go(func() { s.reads(reading, b) })
		}
	}
	for id, b := range s.boards {
		if there[id] {
			continue
		}
		if b.gone.IsZero() {
			b.gone = now
		}
		if b.stop != nil {
			b.stop()
			b.stop = nil
		}
		if now.Sub(b.gone) > s.config.Forget || b.read.IsZero() {
			delete(s.boards, id)
		}
	}
}

// reads asks one module, again and again.
func (s *Station) reads(ctx context.Context, b *board) {
	module := s.config.Source.Open(b.id)
	defer module.Close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, readLimit)
		status, err := module.Status(limited)
		cancel()
		if ctx.Err() != nil {
			return
		}
		s.took(b, time.Now(), status, err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Station) took(b *board, now time.Time, status *control.Status, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if err != nil {
		b.failure = explain(err)
		return
	}
	b.failure, b.read = "", now
	b.watch.observe(now, *status)
}

// advance makes the next state of the page.
func (s *Station) advance(now time.Time) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.tick++
	s.time = now
	s.full = nil
	known := s.changes.count
	for _, id := range s.ids() {
		b := s.boards[id]
		if b.read.IsZero() && b.failure == "" && now.Sub(b.asked) < staleAfter {
			continue // it has not had the time to answer
		}
		s.show(b, now)
	}
	s.latest = &tickJSON{tick: s.tick, changes: s.changes.count - known}
	for subscriber := range s.subscribers {
		select {
		case subscriber <- struct{}{}:
		default:
		}
	}
}

// show brings what the page shows of one board up to date. The caller holds the
// lock.
func (s *Station) show(b *board, now time.Time) {
	before := b.shown
	level, sample := Down, noSample
	var reasons []string
	switch {
	case !b.gone.IsZero():
		reasons = []string{explain(fs.ErrNotExist)}
	case b.failure != "":
		reasons = []string{b.failure}
	case now.Sub(b.read) > staleAfter:
		reasons = []string{explain(context.DeadlineExceeded)}
	default:
		level, reasons = b.watch.assess(now)
		sample = b.watch.sample
	}
	b.history.add(sample)
	status := b.watch.status
	shown := Board{
		ID: b.id, Module: status.Module, ModuleID: cmp.Or(status.ModuleID, before.ModuleID),
		Version: status.Version, State: status.State,
		Level: level, Since: before.Since, Peer: peer(status), Reasons: reasons, Facts: facts(status, now), Measures: measures(status), Now: sample,
	}
	if level == Down {
		shown.State = "no answer"
	}
	fresh := before.Since.IsZero()
	if fresh || before.Level != level {
		shown.Since = now
		change := Change{Time: now, ModuleID: shown.ModuleID, From: before.Level, To: level, New: fresh}
		if len(reasons) > 0 {
			change.Reason = reasons[0]
		}
		if !fresh || level != Working || now.Sub(s.began) > settling {
			s.changes.add(change)
		}
		s.log.Info("a module's level changed", zap.String("module_id", shown.ModuleID), zap.Stringer("level", level), zap.Strings("reasons", reasons))
	}
	b.shown = shown
}

// ids of the boards, sorted. The caller holds the lock.
func (s *Station) ids() []string {
	ids := make([]string, 0, len(s.boards))
	for id := range s.boards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Time is when the state was made that the station shows, zero before the first.
func (s *Station) Time() time.Time {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.time
}

// Boards are what the page shows, by their sockets, with their own snapshots.
func (s *Station) Boards() []Board {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.shown(true)
}

// shown are the boards that are on the page. The caller holds the lock.
func (s *Station) shown(whole bool) []Board {
	boards := []Board{}
	for _, id := range s.ids() {
		b := s.boards[id]
		if b.shown.Since.IsZero() {
			continue
		}
		one := b.shown
		if whole && !b.read.IsZero() {
			status := b.watch.status
			one.Status = &status
		}
		boards = append(boards, one)
	}
	return boards
}
