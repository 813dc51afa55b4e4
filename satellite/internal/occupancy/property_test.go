package occupancy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// satellite is a satellite's EvseManager and agent as the real ones are, with a journal of what was not delivered.
type satellite struct {
	*world
	store   bool
	keeps   bool // the main board has a state directory
	killed  bool
	plugged string // the session, with or without a transaction
	stored  string // the transaction of the store
	charged string // the last session that had a transaction; EvseManager gives it no second one
	journal []func()
	old     []string // sessions that were
	count   int
	lostAt  time.Time
	// validFor is that of the last limits called.
	validFor time.Duration
}

// tell delivers an event, or journals it while the link is away.
func (s *satellite) tell(name, session string) {
	s.deliver(func() { s.says(name, session) })
}

func (s *satellite) deliver(event func()) {
	if s.linked {
		event()
		return
	}
	s.journal = append(s.journal, event)
}

func (s *satellite) follow() {
	s.running = s.plugged
	if s.plugged == "" {
		s.charging = false
	}
}

func (s *satellite) plugIn(t *rapid.T) {
	if s.killed || s.plugged != "" {
		t.Skip("no")
	}
	s.count++
	s.plugged = fmt.Sprintf("S%d", s.count)
	s.follow()
	s.tell("SessionStarted", s.plugged)
	s.tell("AuthRequired", s.plugged)
}

func (s *satellite) authorise(t *rapid.T) {
	if s.killed || s.plugged == "" || s.charging || s.stored != "" || s.charged == s.plugged {
		t.Skip("no")
	}
	s.charging, s.stored, s.charged = true, s.plugged, s.plugged
	for _, name := range []string{"Authorized", "TransactionStarted", "PrepareCharging", "ChargingStarted"} {
		s.tell(name, s.plugged)
	}
}

// endTransaction is what EvseManager publishes when a transaction ends.
func (s *satellite) endTransaction() {
	s.charging, s.stored = false, ""
	for _, name := range []string{"StoppingCharging", "ChargingFinished", "TransactionFinished"} {
		s.tell(name, s.plugged)
	}
}

func (s *satellite) unplug(t *rapid.T) {
	if s.killed || s.plugged == "" {
		t.Skip("no")
	}
	if s.charging {
		s.endTransaction()
	}
	s.tell("SessionFinished", s.plugged)
	s.old = append(s.old, s.plugged)
	s.plugged = ""
	s.follow()
}

// charge lets time pass in which the meter runs.
func (s *satellite) charge(t *rapid.T) {
	if s.killed {
		t.Skip("no")
	}
	s.meter += float64(rapid.IntRange(-1, 9).Draw(t, "Wh"))
	s.deliver(func() { s.variable(meterVariable, s.value("powermeter", "")) })
	if s.open != nil {
		s.open.meter = s.meter
	}
	if s.charging && rapid.Bool().Draw(t, "pauses") {
		s.tell("ChargingPausedEVSE", s.plugged)
	}
}

func (s *satellite) limit(t *rapid.T) {
	if !s.linked {
		t.Skip("no")
	}
	seconds := rapid.SampledFrom([]int{1, 10, 60}).Draw(t, "valid_for")
	s.validFor = time.Duration(seconds) * time.Second
	if err := s.command(fmt.Sprintf("limits %d", seconds)); err != nil {
		t.Fatal(err)
	}
	if err := s.command("requests"); err != nil {
		t.Fatal(err)
	}
}

func (s *satellite) cut(t *rapid.T) {
	if !s.linked {
		t.Skip("no")
	}
	s.linked, s.lostAt = false, s.now
	s.step(Lost{"cut", s.now})
}

// heal brings the link back: the same process resumes, a new one has nothing of the journal.
func (s *satellite) heal(t *rapid.T) {
	if s.linked || s.killed {
		t.Skip("no")
	}
	s.linked = true
	s.step(Linked{true, s.now})
	s.flush()
}

func (s *satellite) flush() {
	journal := s.journal
	s.journal = nil
	for _, event := range journal {
		event()
	}
}

// kill ends the satellite's processes.
func (s *satellite) kill(t *rapid.T) {
	if s.killed {
		t.Skip("no")
	}
	if s.linked {
		s.linked, s.lostAt = false, s.now
		s.step(Lost{"killed", s.now})
	}
	if s.plugged != "" {
		s.old = append(s.old, s.plugged)
	}
	s.killed, s.plugged, s.journal, s.charging = true, "", nil, false
	s.follow()
}

// start starts the satellite's processes.
func (s *satellite) start(t *rapid.T) {
	if !s.killed {
		t.Skip("no")
	}
	s.begin(rapid.Bool().Draw(t, "meter restarts"))
}

func (s *satellite) begin(meterRestarts bool) {
	stored := s.stored
	if !s.store {
		stored = ""
	}
	if meterRestarts {
		s.meter = 0
	}
	s.killed, s.linked, s.stored = false, true, ""
	s.step(Linked{At: s.now})
	s.boot(stored)
}

// restartAgent restarts the agent alone: its journal is lost, and EvseManager goes on.
func (s *satellite) restartAgent(t *rapid.T) {
	if s.killed {
		t.Skip("no")
	}
	if s.linked {
		s.lostAt = s.now
		s.step(Lost{"agent", s.now})
	}
	s.journal, s.linked = nil, true
	s.step(Linked{At: s.now})
}

// restartMainBoard restarts both boards: an agent whose controller restarted resets its board.
func (s *satellite) restartMainBoard(t *rapid.T) {
	if s.plugged != "" {
		s.old = append(s.old, s.plugged)
	}
	s.killed, s.plugged, s.journal, s.charging = true, "", nil, false
	s.restartMain(s.keeps)
	s.running, s.validFor = "", 0
	if rapid.Bool().Draw(t, "absent") {
		s.lostAt = s.now
		s.step(Lost{"absent", s.now})
		return
	}
	s.begin(false)
}

// stale is an event of a session that is over, or of nobody's.
func (s *satellite) stale(t *rapid.T) {
	if !s.linked {
		t.Skip("no")
	}
	session := rapid.SampledFrom(append(s.old, "nobody")).Draw(t, "session")
	if session == s.running {
		t.Skip("no")
	}
	s.says(rapid.SampledFrom([]string{
		"TransactionFinished", "SessionFinished", "TransactionFinished at boot", "ChargingFinished", "PluginTimeout", "Unknown", "Deauthorized",
	}).Draw(t, "event"), session)
}

func (s *satellite) garbage(t *rapid.T) {
	if !s.linked {
		t.Skip("no")
	}
	value := rapid.SampledFrom([]string{
		`null`, `{}`, `{"event":"SessionFinished"}`, `{"event":"SessionStarted","uuid":""}`, `{"uuid":"` + s.running + `"}`, `{"event":`,
		`{"event":"SessionFinished","uuid":"` + strings.Repeat("x", 1000) + `"}`,
	}).Draw(t, "value")
	s.variable(sessionEventVariable, json.RawMessage(value))
}

func (s *satellite) pass(t *rapid.T) {
	s.wait(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
}

// judge holds what the machine does to the satellite and the share.
func (s *satellite) judge() {
	s.onCall = func(call Call) {
		if call.Command == "stop_transaction" && s.charging {
			// One that the main board never saw begin is nobody's.
			if s.open != nil || s.started[s.plugged] > s.ended[s.plugged] {
				s.fail("a customer's transaction is stopped on the satellite")
			}
			s.endTransaction()
		}
	}
	s.onFree = func() {
		if used := s.lostAt.Add(s.config.Delivery + s.validFor + 1130*time.Millisecond); s.now.Before(used) || s.linked {
			s.fail("the share is freed at %v, and is used until %v", s.now, used)
		}
	}
}

// TestEverySessionEndsOnce plays satellites at random.
func TestEverySessionEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var story []string
		w := newWorld(t, func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) })
		s := &satellite{world: w, store: rapid.Bool().Draw(rt, "store"), keeps: rapid.Bool().Draw(rt, "keeps")}
		s.judge()
		s.linked = true
		s.step(Linked{At: w.now})
		s.boot("")
		do := func(name string, action func(*rapid.T)) func(*rapid.T) {
			return func(rt *rapid.T) {
				w.now = w.now.Add(time.Millisecond)
				action(rt)
				story = append(story, name)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"plug in": do("plug in", s.plugIn), "authorise": do("authorise", s.authorise), "unplug": do("unplug", s.unplug),
			"charge": do("charge", s.charge), "limits": do("limits", s.limit), "cut": do("cut", s.cut), "heal": do("heal", s.heal),
			"kill": do("kill", s.kill), "start": do("start", s.start), "restart": do("restart main board", s.restartMainBoard),
			"agent": do("restart agent", s.restartAgent), "stale": do("stale", s.stale), "garbage": do("garbage", s.garbage), "wait": do("wait", s.pass),
			"": func(rt *rapid.T) {
				if w.broken != "" {
					rt.Fatalf("%s\n%s", w.broken, strings.Join(story, "\n"))
				}
			},
		})
		// Long after, what is still open runs on a satellite that is there.
		s.wait(time.Hour)
		s.check()
		if w.demand && !s.linked && s.validFor > 0 && w.machine.share.node != nil {
			w.fail("the share is never freed")
		}
		if w.broken != "" {
			rt.Fatalf("%s\n%s", w.broken, strings.Join(story, "\n"))
		}
	})
}
