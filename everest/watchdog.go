package everest

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// Supervisor receives the status of a standalone module from the module. Package everest/program has the implementation
// for systemd. The methods may be called from several goroutines. They must return soon, because the module's loops
// call them.
type Supervisor interface {
	// Ready is called once, when the module has sent ready to its manager.
	Ready()
	// Status is called with a new line of text for operators about the module's work.
	Status(text string)
	// Alive is called about once in an Interval while all loops of the module run.
	Alive()
	// Stopping is called once, when the module begins to end.
	Stopping()
	// Interval returns how often Alive must be called. With 0 Alive is never called.
	Interval() time.Duration
}

// supervisor returns the supervisor with which the module's watchdog works, which is nil where nobody wants to know.
func (o *Options) supervisor() Supervisor {
	if o.Alive == nil || o.AliveInterval <= 0 {
		return o.Supervisor
	}
	return &aliveSupervisor{Supervisor: o.Supervisor, alive: o.Alive, interval: o.AliveInterval}
}

// aliveSupervisor calls Options.Alive beside a supervisor, which may be nil. The more frequent of both sets the interval.
type aliveSupervisor struct {
	Supervisor
	alive    func()
	interval time.Duration
}

func (s *aliveSupervisor) Alive() {
	s.alive()
	if s.Supervisor != nil {
		s.Supervisor.Alive()
	}
}

func (s *aliveSupervisor) Interval() time.Duration {
	if s.Supervisor == nil || s.Supervisor.Interval() <= 0 {
		return s.interval
	}
	return min(s.interval, s.Supervisor.Interval())
}

func (s *aliveSupervisor) Ready() {
	if s.Supervisor != nil {
		s.Supervisor.Ready()
	}
}

func (s *aliveSupervisor) Status(text string) {
	if s.Supervisor != nil {
		s.Supervisor.Status(text)
	}
}

func (s *aliveSupervisor) Stopping() {
	if s.Supervisor != nil {
		s.Supervisor.Stopping()
	}
}

// OnWatchdog registers a part of the module that has its own loop. It must be called before Run. Once per Interval of
// the supervisor the module calls ask, which must not block. The loop of the part must then call alive. Until every
// part has called alive, the module neither calls Supervisor.Alive nor asks again. Without a supervisor ask is never
// called.
func (m *Module) OnWatchdog(part string, ask func(alive func())) {
	m.watchdog.mu.Lock()
	defer m.watchdog.mu.Unlock()
	m.watchdog.parts = append(m.watchdog.parts, watchedPart{part, ask})
}

// ReportStatus sends the supervisor a text about the module's work. The supervisor gets the text together with the
// phase of the module, such as "running". Without a supervisor ReportStatus does nothing.
func (m *Module) ReportStatus(text string) { m.watchdog.report(func(w *watchdog) { w.detail = text }) }

func (m *Module) reportPhase(text string) { m.watchdog.report(func(w *watchdog) { w.phase = text }) }

// watchdog asks the parts of a module for a sign of life, and notifies the supervisor when all parts have given one.
// The goroutine of Connect, and later that of Run, starts each round. So the supervisor gets no sign when that
// goroutine hangs.
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

// due returns a channel that fires when turn must be called. It is nil without a supervisor.
func (w *watchdog) due() <-chan time.Time {
	if w.timer == nil {
		return nil
	}
	return w.timer.C
}

// passBy starts a round if one is due. It is for goroutines that do not select on due.
func (w *watchdog) passBy() {
	select {
	case <-w.due():
		w.turn()
	default:
	}
}

// turn starts a round, unless the previous one has not ended.
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

// report sends the status after a change, unless the text is the same as before.
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
