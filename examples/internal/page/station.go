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
	"github.com/remotechargeport/remotechargeport/examples/internal/events"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

const (
	// interval is how often each status socket is read.
	interval = time.Second
	// readLimit is how long one module may take to respond before it counts as down.
	readLimit = 2 * time.Second
	// staleAfter is the age of the last status at which a module counts as down.
	staleAfter = 3 * time.Second
	// settling is how long after the start a working module that appears is not listed as a change: it was there
	// before.
	settling = 5 * time.Second
	// maxBoards is how many status sockets are read. Further ones are ignored.
	maxBoards = 256
)

// Config configures a Station.
type Config struct {
	Source Source
	// Name is the title of the page.
	Name string
	// Forget is how long a module stays on the page after its socket is gone. The default is 24 h.
	Forget time.Duration
	// Events keeps the last day's events. The default keeps them as long as the process runs.
	Events *events.Log
	Logger *zap.Logger
}

// Station reads the status sockets of a station. Its methods may be called from several goroutines.
type Station struct {
	config Config
	log    *zap.Logger
	began  time.Time

	mu          sync.Mutex
	boards      map[string]*board
	changes     changes
	events      []events.Event // of the last day, the oldest first, with the newest at the end
	tick        uint64
	time        time.Time
	listed      string    // the error of the last List, "" without one
	latest      *tickJSON // of tick
	full        []byte    // of tick, made when a page needs it
	subscribers map[chan struct{}]struct{}
}

// board is the state of one status socket, protected by the station's mu.
type board struct {
	id      string
	gone    time.Time // since when the socket is gone, zero while it exists
	stop    context.CancelFunc
	failure error // of the last read, nil after a success
	asked   time.Time
	read    time.Time // when the last status was read
	behind  time.Time // when the agent started that a controller of the station has shown, zero for none
	watch   watch
	history history
	shown   Board
}

// NewStation returns a station. Run reads its modules.
func NewStation(config Config) *Station {
	config.Forget = cmp.Or(config.Forget, 24*time.Hour)
	log := config.Logger
	if log == nil {
		log = zap.NewNop()
	}
	if config.Events == nil {
		config.Events = events.InMemory()
	}
	return &Station{
		config: config, log: log, began: time.Now(), events: config.Events.Events(time.Now()),
		boards: map[string]*board{}, subscribers: map[chan struct{}]struct{}{},
	}
}

// Run reads the modules until ctx ends, and returns nil then.
func (s *Station) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	s.find(ctx, &readers)
	for {
		// The readers need some time for their first status.
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		s.find(ctx, &readers)
		s.advance(time.Now())
	}
}

// find starts a reader for each new socket and ends the readers of sockets that are gone.
func (s *Station) find(ctx context.Context, readers *sync.WaitGroup) {
	ids, err := s.config.Source.List()
	s.mu.Lock()
	defer s.mu.Unlock()
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if failure != s.listed && failure != "" {
		s.log.Warn("cannot list the status sockets", zap.Error(err))
	}
	s.listed = failure
	now := time.Now()
	present := map[string]bool{}
	for _, id := range ids {
		present[id] = true
		b := s.boards[id]
		if b == nil {
			if len(s.boards) == maxBoards {
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
			readers.Go(func() { s.readLoop(reading, b) })
		}
	}
	for id, b := range s.boards {
		if present[id] {
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

// readLoop reads the status of one module at every interval.
func (s *Station) readLoop(ctx context.Context, b *board) {
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
		s.record(b, time.Now(), status, err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Station) record(b *board, now time.Time, status *control.Status, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		b.failure = err
		return
	}
	b.failure, b.read = nil, now
	b.watch.observe(now, *status)
}

// advance makes the next tick. Its events are on disk before anybody sees them.
func (s *Station) advance(now time.Time) {
	known, seen := s.look(now)
	fresh := s.config.Events.Follow(seen, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick++
	s.time = now
	s.full = nil
	if len(fresh) > 0 || s.tick%60 == 0 { // old ones go
		s.events = s.config.Events.Events(now)
	}
	s.latest = &tickJSON{tick: s.tick, changes: s.changes.count - known, events: fresh}
	for subscriber := range s.subscribers {
		select {
		case subscriber <- struct{}{}:
		default:
		}
	}
}

// look rates all boards. It returns the number of changes before, and what is seen of the boards.
func (s *Station) look(now time.Time) (known uint64, seen []events.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known = s.changes.count
	controllers := verdict.NewAgents()
	for _, b := range s.boards {
		controllers.Add(&b.watch.status)
	}
	for _, id := range s.idsLocked() {
		b := s.boards[id]
		if b.read.IsZero() && b.failure == nil && now.Sub(b.asked) < staleAfter {
			continue // the module has not had enough time for its first status
		}
		// An agent's EVSE is that of its controller, also while they have no link.
		if controllers.Have(&b.watch.status) {
			b.behind = b.watch.status.Started
		}
		if !b.behind.IsZero() && b.behind.Equal(b.watch.status.Started) {
			b.watch.status.EVSE = nil
		}
		judged := s.showLocked(b, now)
		status := b.watch.status
		seen = append(seen, events.Seen{ID: id, Status: &status, Answers: b.shown.Answers, Verdict: judged})
	}
	return known, seen
}

// showLocked updates what the page shows of one board, and returns its level with the reasons.
func (s *Station) showLocked(b *board, now time.Time) verdict.Verdict {
	before := b.shown
	judged, sample, away := verdict.Verdict{Level: verdict.Down}, noSample, error(nil)
	switch {
	case !b.gone.IsZero():
		away = fs.ErrNotExist
	case b.failure != nil:
		away = b.failure
	case now.Sub(b.read) > staleAfter:
		away = context.DeadlineExceeded
	default:
		judged, sample = b.watch.assess(now), b.watch.sample
	}
	status := b.watch.status
	cause, lost := status.Cause, time.Time{}
	if away != nil {
		judged.Reasons, cause, lost = []string{verdict.Unreachable(away)}, away.Error(), b.read
	}
	b.history.add(sample)
	shown := Board{
		ID: b.id, Module: status.Module, ModuleID: cmp.Or(status.ModuleID, before.ModuleID),
		Version: status.Version, State: status.State,
		Level: judged.Level, Since: before.Since, Peer: peer(status), Reasons: judged.Reasons, Cause: cause, Answers: away == nil,
		EVSE: evseOf(&status, now, lost), Facts: verdict.Facts(&status, now), Measures: measures(status), Now: sample,
	}
	if away != nil {
		shown.State = "no answer"
	}
	fresh := before.Since.IsZero()
	if fresh || before.Level != judged.Level {
		shown.Since = now
		change := Change{Time: now, ModuleID: shown.ModuleID, From: before.Level, To: judged.Level, New: fresh}
		if len(judged.Reasons) > 0 {
			change.Reason = judged.Reasons[0]
		}
		if !fresh || judged.Level != verdict.Working || now.Sub(s.began) > settling {
			s.changes.add(change)
		}
		s.log.Info("a module's level changed", zap.String("module_id", shown.ModuleID), zap.Stringer("level", judged.Level), zap.Strings("reasons", judged.Reasons))
	}
	b.shown = shown
	return judged
}

// idsLocked returns the ids of the boards, sorted as people count.
func (s *Station) idsLocked() []string {
	ids := make([]string, 0, len(s.boards))
	for id := range s.boards {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, verdict.Compare)
	return ids
}

// Time returns when the last tick was made, zero before the first.
func (s *Station) Time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time
}

// Boards returns what the page shows, sorted by socket, with the modules' own snapshots.
func (s *Station) Boards() []Board {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shownLocked(true)
}

// shownLocked returns the boards on the page, with the modules' own snapshots where whole is true.
func (s *Station) shownLocked(whole bool) []Board {
	boards := []Board{}
	for _, id := range s.idsLocked() {
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
