// Package occupancy is what the main board believes of one EVSE of a satellite, and how it is told the truth when the
// satellite is gone. It is one pure state machine, [Machine].
//
// The modules of the main board, Auth, OCPP and EnergyNode, learn of a session only what session_event says. They take
// an end by connector and never by the session's uuid. So a satellite that is lost leaves a transaction that never ends,
// and an end that comes late ends the transaction of the next customer. The machine sees each session event before it is
// published, and promises, whatever the satellite says and whenever it is lost:
//
//   - A session that the main board saw begin ends there once: by the satellite's own word where there is one, else by
//     an estimate.
//   - No end reaches another session. An id whose end was published is never used again.
//   - While the satellite is out of service, the EVSE is Inoperative.
//   - The EVSE's share of the energy is freed only when the last limits have certainly run out on the satellite.
//   - What the main board said once in its life is said again to a satellite that restarted.
//
// A machine is a value without goroutine, clock or I/O. Its shell passes each event to Step and carries out the returned
// actions in order, before the next event. A machine only looks at what it has to: other bytes pass unchanged, and what
// it keeps is bounded.
package occupancy

import (
	"encoding/json"
	"slices"
	"time"
)

// Config configures a Machine.
type Config struct {
	// Deadline is how long a lost satellite has to come back before the end of its session is estimated.
	Deadline time.Duration
	// Delivery is how long after [Lost] a command that was called before may still reach the satellite.
	Delivery time.Duration
	// EVSE is the number of the EVSE on the main board, 0 where it is not configured.
	EVSE int
	// Kept is the transaction that the process before has kept, nil for none.
	Kept *Kept
}

const (
	// bootLimit is how long EvseManager of a satellite that restarted may take to become ready, from the agreement of
	// the agents. It takes 0.1 s, and 5 s where its meter is silent.
	bootLimit = 30 * time.Second
	// settleTime is how long a satellite that is back has to tell that a session is over before its transaction is
	// stopped. The events of an outage arrived within 20 ms, measured, and a car that stayed draws again after 1.5 s.
	settleTime = 2 * time.Second
	// keepInterval is how often at most the meter value of a transaction is written to disk.
	keepInterval = time.Minute
	// maxFinished is how many ids of sessions are remembered as finished.
	maxFinished = 64
)

// state is how the satellite stands to the main board.
type state int

const (
	// starting is the state until the satellite is linked or counts as absent.
	starting state = iota
	// serving is the state while the satellite is linked.
	serving
	// outOfService is the state while the EVSE is out of service.
	outOfService
	// returning is the state after outOfService, while another process of the satellite is linked whose EVSE is not ready.
	returning
)

// phase is how far a session is.
type phase int

const (
	plugged phase = iota
	charging
	charged
)

// session is the session that the main board's modules know.
type session struct {
	id    string
	phase phase
	// connector and tag are those of the events that began the session, nil for none.
	connector, tag json.RawMessage
	// began is the transaction's begin on the satellite's clock.
	began time.Time
	// alive: an event of the session came since the satellite was linked last.
	alive bool
	// estimated: the end of its transaction was estimated.
	estimated bool
}

// ended is the id of a session that is over for the main board.
type ended struct {
	id string
	// estimated: its true end was not known.
	estimated bool
}

// Machine is the machine of one EVSE. It is not safe for concurrent use.
type Machine struct {
	config  Config
	state   state
	actions []Action // of the Step under way

	session  *session // nil for none
	finished []ended  // the oldest first
	meter    reading
	// heard is when the satellite was heard last before it was lost.
	heard time.Time
	// resumed is the id that the last SessionResumed named. booting: EvseManager has said nothing since that ends its
	// boot.
	resumed string
	booting bool
	// orphan is the id of a transaction whose end was estimated and that may still run on the satellite, until its
	// EvseManager boots.
	orphan string

	// unsettled: another process of the satellite was linked, and it is not known yet what became of its EVSE.
	unsettled bool
	// ready: the main board's modules have seen the EVSE as ready.
	ready bool
	// disabled: the satellite's own last word is that the EVSE is disabled. told: the machine has published Disabled.
	disabled, told bool
	raised         bool

	commands reminders
	share    share

	// endBy, bootBy, stopBy are the deadlines of the session's end, of the satellite's boot, and of an orphan. Zero is
	// none. deadline is what the shell was asked for.
	endBy, bootBy, stopBy, deadline time.Time
	kept                            time.Time
	keeping                         bool
}

// New returns a machine for a satellite that has not been linked.
func New(config Config) *Machine { return &Machine{config: config} }

// Step takes one event and returns what the shell has to do, in order.
func (m *Machine) Step(event Event) []Action {
	m.actions = nil
	switch e := event.(type) {
	case Linked:
		m.linked(e)
	case Lost:
		m.lost(e)
	case Published:
		m.published(e)
	case Told:
		m.commands.record(e, m.state)
		m.share.carry(e)
	case Tick:
		m.tick(e.At)
	}
	m.schedule()
	return m.actions
}

func (m *Machine) act(action Action) { m.actions = append(m.actions, action) }

// schedule asks for the next deadline where it has changed.
func (m *Machine) schedule() {
	var next time.Time
	for _, at := range []time.Time{m.endBy, m.bootBy, m.stopBy, m.share.freeAt} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if !next.Equal(m.deadline) {
		m.deadline = next
		m.act(SetDeadline{next})
	}
}

func due(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

func (m *Machine) tick(now time.Time) {
	if due(m.share.freeAt, now) {
		m.share.freeAt = time.Time{}
		m.act(Publish{Variable: FlowRequest, Value: m.share.zeroDemand(now)})
	}
	if due(m.endBy, now) {
		m.endBy = time.Time{}
		m.abandon(now)
	}
	if due(m.bootBy, now) {
		m.booted(now, true)
	}
	if due(m.stopBy, now) {
		m.stopBy = time.Time{}
		m.stopOrphan()
	}
}

// lost takes the EVSE out of service.
func (m *Machine) lost(e Lost) {
	if m.state == outOfService {
		return
	}
	m.state, m.bootBy, m.stopBy = outOfService, time.Time{}, time.Time{}
	if !m.ready {
		m.startWithout(e.At)
	}
	if !m.raised {
		m.raised = true
		m.act(Raise{e.Reason})
	}
	if m.session == nil {
		m.disable(e.At)
	} else {
		m.endBy = e.At.Add(m.config.Deadline)
	}
	m.share.lose(e.At.Add(m.config.Delivery))
}

// startWithout makes the main board's modules start without the satellite. OCPP connects once every EVSE is ready, and
// ends the transactions that nobody resumed before.
func (m *Machine) startWithout(now time.Time) {
	if kept := m.config.Kept; m.session == nil && m.resumable(kept) {
		m.make("SessionResumed", kept.Session, now, "", nil)
		m.session = &session{id: kept.Session, phase: charging}
		m.heard = kept.Heard
		m.recall(kept)
	}
	m.act(Publish{Variable: waitingVariable, Value: json.RawMessage("true")})
	m.act(Publish{Variable: readyVariable, Value: json.RawMessage("true")})
	m.started()
}

// resumable reports whether a kept transaction is of this EVSE and has not ended since.
func (m *Machine) resumable(kept *Kept) bool {
	if kept == nil || kept.Session == "" || len(kept.Session) > maxName || kept.EVSE != m.config.EVSE {
		return false
	}
	finished, _ := m.isFinished(kept.Session)
	return !finished
}

// recall takes what the process before knew of the session.
func (m *Machine) recall(kept *Kept) {
	m.session.began = kept.Began
	m.session.describe(kept.Connector, kept.Tag)
	m.observe(kept.Meter)
	m.keeping = true
}

// disable publishes Disabled. OCPP forgets with it that an EVSE charges, so it comes between sessions only.
func (m *Machine) disable(now time.Time) {
	if m.told || m.disabled {
		return
	}
	m.told = true
	m.make("Disabled", "", now, "source", json.RawMessage(`{"enable_priority":0,"enable_source":"Unspecified","enable_state":"Disable"}`))
}

// enable takes back what disable published.
func (m *Machine) enable(now time.Time) {
	if m.told && !m.disabled {
		m.make("Enabled", "", now, "source", json.RawMessage(`{"enable_priority":10000,"enable_source":"Unspecified","enable_state":"Unassigned"}`))
	}
	m.told = false
}

// linked follows the agreement with an agent.
func (m *Machine) linked(e Linked) {
	m.endBy, m.share.freeAt = time.Time{}, time.Time{}
	switch {
	case m.state == starting:
		m.state = serving
	case e.Resumed && m.state == outOfService && m.unsettled:
		m.state, m.bootBy = returning, e.At.Add(bootLimit)
	case e.Resumed && m.state == outOfService:
		m.serve(e.At, false)
	case e.Resumed:
		m.awaitOrphan(e.At)
	default:
		m.state, m.resumed, m.booting, m.stopBy = returning, "", false, time.Time{}
		m.bootBy, m.unsettled = e.At.Add(bootLimit), true
		if m.session != nil {
			m.session.alive = false
		}
	}
}

// serve puts the EVSE back in service. restarted reports whether the satellite has forgotten what it was told.
func (m *Machine) serve(now time.Time, restarted bool) {
	m.state, m.bootBy, m.unsettled = serving, time.Time{}, false
	m.enable(now)
	if m.raised {
		m.raised = false
		m.act(Clear{})
	}
	m.commands.repeat(restarted, m.act)
	m.awaitOrphan(now)
}

// awaitOrphan gives an orphan time to end by itself before it is stopped. A command that stopped it before may have been
// lost with the connection.
func (m *Machine) awaitOrphan(now time.Time) {
	if m.orphan != "" && m.state == serving {
		m.stopBy = now.Add(settleTime)
	}
}

// booted follows a satellite that restarted and whose EVSE is ready. overdue: it has not said so. Then EvseManager may
// have outlived the agent, with the transaction that it had.
func (m *Machine) booted(now time.Time, overdue bool) {
	if m.session != nil && !m.session.alive {
		if overdue {
			m.abandon(now)
		} else {
			m.estimate(powerLoss)
		}
	}
	if !overdue {
		m.orphan = ""
	}
	m.serve(now, true)
}

// abandon estimates the end of a session that the satellite may still have open.
func (m *Machine) abandon(now time.Time) {
	if m.session == nil {
		return
	}
	m.orphan = m.session.id
	m.estimate(powerLoss)
	if m.state == outOfService {
		m.disable(now)
	}
}

// stopOrphan stops a transaction that the main board knows as finished. stop_transaction names none: where the satellite
// has begun another session meanwhile, the orphan is forgotten before.
func (m *Machine) stopOrphan() {
	m.act(Call{Command: "stop_transaction", Arguments: map[string]json.RawMessage{
		"request": json.RawMessage(`{"reason":"` + powerLoss + `"}`),
	}})
}

// finish forgets the session and remembers that its id is used up.
func (m *Machine) finish(estimated bool) {
	if len(m.finished) == maxFinished {
		m.finished = slices.Delete(m.finished, 0, 1)
	}
	m.finished = append(m.finished, ended{m.session.id, estimated || m.session.estimated})
	m.session, m.endBy = nil, time.Time{}
	m.forget()
}

// isFinished reports whether an id is used up, and whether its end was estimated.
func (m *Machine) isFinished(id string) (finished, estimated bool) {
	for _, one := range m.finished {
		if one.id == id {
			return true, one.estimated
		}
	}
	return false, false
}
