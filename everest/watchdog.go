package everest

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// Supervisor started a module that no EVerest manager started, and receives its status. Package
// everest/program has the one for systemd. The methods may be called from several goroutines and must not wait
// for long: the module's loops call them.
type Supervisor interface {
	// Ready is called once, when the module has said ready to its manager.
	Ready()
	// Status is a line for people about what the module is doing.
	Status(text string)
	// Alive is called about once in an Interval as long as all loops of the module turn.
	Alive()
	// Stopping is called when the module begins to end, for whatever reason.
	Stopping()
	// Interval is how often Alive is wanted; 0 is never.
	Interval() time.Duration
}

// OnWatchdog registers a part of the module that has a loop of its own. Once in the supervisor's interval the module
// calls ask, which must not wait; the part then calls alive from its loop. A round in which a part does not call it is
// not reported to the supervisor, nor is any later one until it does. Without a supervisor ask is never called. It is
// to be called before Run.
func (m *Module) OnWatchdog(part string, ask func(alive func())) {
	m.watchdog.mu.Lock()
	defer m.watchdog.mu.Unlock()
	m.watchdog.parts = append(m.watchdog.parts, watchedPart{part, ask})
}

// ReportStatus sends the supervisor a text about the module's work, in addition to the progress of its start. Without a supervisor
// it does nothing.
func (m *Module) ReportStatus(text string) { m.watchdog.report(func(w *watchdog) { w.detail = text }) }

func (m *Module) reportPhase(text string) { m.watchdog.report(func(w *watchdog) { w.phase = text }) }

// watchdog asks the parts of a module for a sign of life, and notifies the supervisor when all have given one. The goroutine
// of Connect and then of Run starts each round, so that no sign is sent where that goroutine hangs.
type watchdog struct {
	supervisor Supervisor // nil: none
	log        *zap.Logger
	timer      *time.Timer // nil without an interval

	mu            sync.Mutex
	parts         []watchedPart
	waiting       map[string]bool // the parts that were asked and have not called
	phase, detail string
	reported      string
}

type watchedPart struct {
	name string
	ask  func(alive func())
}

func (w *watchdog) start(supervisor Supervisor, log *zap.Logger) {
	w.supervisor, w.log = supervisor, log
	if supervisor != nil && supervisor.Interval() > 0 {
		w.timer = time.NewTimer(supervisor.Interval())
	}
}

func (w *watchdog) ready() {
	if w.supervisor != nil {
		w.supervisor.Ready()
	}
}

func (w *watchdog) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.supervisor != nil {
		w.supervisor.Stopping()
	}
}

// due fires when turn is to be called; nil without a supervisor.
func (w *watchdog) due() <-chan time.Time {
	if w.timer == nil {
		return nil
	}
	return w.timer.C
}

// passBy starts a round if it is due. A goroutine outside of the module's select calls it.
func (w *watchdog) passBy() {
	select {
	case <-w.due():
		w.turn()
	default:
	}
}

// turn starts a round, unless the last one has not ended.
func (w *watchdog) turn() {
	w.timer.Reset(w.supervisor.Interval())
	w.mu.Lock()
	if len(w.waiting) > 0 {
		for part := range w.waiting {
			w.log.Error("a loop hangs: the watchdog is not fed", zap.String("loop", part))
		}
		w.mu.Unlock()
		return
	}
	parts := w.parts
	w.waiting = map[string]bool{}
	for _, part := range parts {
		w.waiting[part.name] = true
	}
	w.mu.Unlock()
	if len(parts) == 0 {
		w.supervisor.Alive()
	}
	for _, part := range parts {
		part.ask(func() { w.called(part.name) })
	}
}

func (w *watchdog) called(part string) {
	w.mu.Lock()
	last := w.waiting[part] && len(w.waiting) == 1
	delete(w.waiting, part)
	w.mu.Unlock()
	if last {
		w.supervisor.Alive()
	}
}

// report sends the status after a change, unless it is the same as before.
func (w *watchdog) report(change func(*watchdog)) {
	if w.supervisor == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
	text := w.phase
	if w.detail != "" {
		text += "; " + w.detail
	}
	if text != w.reported {
		w.reported = text
		w.supervisor.Status(text)
	}
}
