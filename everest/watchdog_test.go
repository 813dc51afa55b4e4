package everest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// toldSupervisor remembers what it was told.
type toldSupervisor struct {
	mu    sync.Mutex
	lines []string
}

func (s *toldSupervisor) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *toldSupervisor) Ready()                  { s.tell("ready") }
func (s *toldSupervisor) Status(text string)      { s.tell("status " + text) }
func (s *toldSupervisor) Alive()                  { s.tell("alive") }
func (s *toldSupervisor) Stopping()               { s.tell("stopping") }
func (s *toldSupervisor) Interval() time.Duration { return time.Hour }

func (s *toldSupervisor) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	s.lines = nil
	return lines
}

func TestWatchdogNeedsEveryPart(t *testing.T) {
	supervisor := &toldSupervisor{}
	core, logs := observer.New(zap.ErrorLevel)
	var w watchdog
	w.start(supervisor, zap.New(core))
	defer w.stop()
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, supervisor.take()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
	}

	w.turn()
	expect("a module without parts", "alive")

	answers := map[string]func(){}
	for _, part := range []string{"one", "two"} {
		w.parts = append(w.parts, watchedPart{part, func(alive func()) { answers[part] = alive }})
	}
	w.turn()
	expect("nobody has answered")
	answers["one"]()
	answers["one"]()
	expect("one has answered, twice")
	w.turn()
	expect("the next round while two hangs")
	if told := logs.TakeAll(); len(told) != 1 || told[0].ContextMap()["loop"] != "two" {
		t.Errorf("logged %v, want the loop that hangs", told)
	}
	answers["two"]()
	expect("two has answered late", "alive")
	w.turn()
	answers["two"]()
	answers["one"]()
	expect("both have answered", "alive")
}

func TestStatusIsToldOnce(t *testing.T) {
	supervisor := &toldSupervisor{}
	m := &Module{}
	m.ReportStatus("nobody listens")
	m.watchdog.start(supervisor, zap.NewNop())
	m.reportPhase("starting")
	m.reportPhase("starting")
	m.ReportStatus("link: Waiting")
	m.reportPhase("running")
	m.watchdog.stop()
	want := []string{"status starting", "status starting; link: Waiting", "status running; link: Waiting", "stopping"}
	if diff := cmp.Diff(want, supervisor.take()); diff != "" {
		t.Error(diff)
	}
}

// A module of a manager has inherited the manager's supervisor, and must not speak for it.
func TestSpawnedModuleHasNoSupervisor(t *testing.T) {
	for _, spawned := range []bool{true, false} {
		supervisor := &toldSupervisor{}
		m, err := newModule(Options{ModuleID: "port", Spawned: &spawned, Supervisor: supervisor})
		if err != nil {
			t.Fatal(err)
		}
		m.ReportStatus("here")
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if told := supervisor.take(); len(told) > 0 == spawned {
			t.Errorf("spawned %t: told %q", spawned, told)
		}
	}
}

// TestAliveNeedsNoSupervisor calls Options.Alive in a module that a manager started, beside a supervisor, and not while a
// part hangs.
func TestAliveNeedsNoSupervisor(t *testing.T) {
	for name, supervisor := range map[string]Supervisor{"alone": nil, "beside": &toldSupervisor{}} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			options := Options{Supervisor: supervisor, Alive: func() { calls++ }, AliveInterval: time.Minute}
			var w watchdog
			w.start(options.supervisor(), zap.NewNop())
			if interval := w.supervisor.Interval(); interval != time.Minute {
				t.Errorf("interval %v, want the shorter one", interval)
			}
			var alive func()
			w.parts = []watchedPart{{"loop", func(fn func()) { alive = fn }}}
			w.ready()
			w.report(func(w *watchdog) { w.phase = "running" })
			w.turn()
			w.turn()
			if calls != 0 {
				t.Error("called while a part has not answered")
			}
			alive()
			w.stop()
			if calls != 1 {
				t.Errorf("called %d times, want 1", calls)
			}
			if told, ok := supervisor.(*toldSupervisor); ok {
				if diff := cmp.Diff([]string{"ready", "status running", "alive", "stopping"}, told.take()); diff != "" {
					t.Errorf("the supervisor (-want +got):\n%s", diff)
				}
			}
		})
	}
	if without := (Options{Alive: func() {}}); without.supervisor() != nil {
		t.Error("an interval of 0 makes a watchdog")
	}
}
