package occupancy

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"
)

// The variables that a machine looks at.
const (
	sessionEventVariable = "session_event"
	meterVariable        = "powermeter"
	readyVariable        = "ready"
	waitingVariable      = "waiting_for_external_ready"
	limitsVariable       = "enforced_limits"
)

// FlowRequest is the only variable of the interface energy that a machine publishes.
const FlowRequest = "energy_flow_request"

// scope is what a type of session event belongs to.
type scope int

const (
	// The zero value is of the session that its uuid names. Types that nobody knows count as such where they name one.
	_ scope = iota
	// ofEVSE is of the EVSE: it passes whatever session there is.
	ofEVSE
	begins
	resumes
	endsTransaction
	endsSession
)

// scopes has the types of session events that are more than an event of their session.
var scopes = map[string]scope{
	"Enabled":             ofEVSE,
	"Disabled":            ofEVSE,
	"ReservationStart":    ofEVSE,
	"ReservationEnd":      ofEVSE,
	"SessionStarted":      begins,
	"TransactionStarted":  begins,
	"SessionResumed":      resumes,
	"TransactionFinished": endsTransaction,
	"SessionFinished":     endsSession,
}

// published decides on a variable.
func (m *Machine) published(e Published) {
	if m.state != outOfService && m.state != returning {
		m.heard = e.At
	}
	switch e.Variable {
	case sessionEventVariable:
		m.sessionEvent(e)
		return
	case meterVariable:
		m.observe(e.Value)
	case limitsVariable:
		m.share.applied(e.Value)
	case FlowRequest:
		m.share.request(e.Value)
	case waitingVariable:
		m.waiting(e)
		return
	case readyVariable:
		m.readiness(e)
		return
	}
	m.keepOpen(e.At)
	m.pass(e)
}

// readiness handles ready.
func (m *Machine) readiness(e Published) {
	m.pass(e)
	if string(e.Value) != "true" {
		return
	}
	m.started()
	if m.state == returning {
		m.booted(e.At, false)
	}
}

// waiting handles waiting_for_external_ready. EvseManager publishes it once at its boot, after the end of the
// transaction that it found in its store, if any. A session that it did not name then died with it.
func (m *Machine) waiting(e Published) {
	if m.session != nil && !(m.booting && m.resumed == m.session.id) {
		m.estimate(powerLoss)
	}
	m.orphan, m.stopBy, m.booting = "", time.Time{}, false
	m.dropKept()
	m.pass(e)
	if string(e.Value) == "true" {
		m.started()
		if m.state == returning {
			m.commands.begin(m.act)
		}
	}
}

// started follows the main board's modules, which start when the EVSE is ready. OCPP has then ended each transaction
// that nobody resumed.
func (m *Machine) started() {
	m.ready = true
	m.dropKept()
}

// dropKept forgets the transaction of the process before.
func (m *Machine) dropKept() {
	if m.config.Kept != nil && !m.keeping {
		m.act(Keep{})
	}
	m.config.Kept = nil
}

// sessionEvent decides on a session event.
func (m *Machine) sessionEvent(e Published) {
	event, err := readSessionEvent(e.Value)
	if err != nil {
		m.act(Drop{Reason: Unreadable})
		return
	}
	switch scopes[event.kind] {
	case ofEVSE:
		m.ofEVSE(e, event)
	case begins:
		m.begin(e, event)
	case resumes:
		m.resume(e, event)
	case endsTransaction, endsSession:
		m.end(e, event)
	default:
		m.during(e, event)
	}
}

func (m *Machine) pass(e Published) { m.act(Publish{Variable: e.Variable, Value: e.Value}) }

func (m *Machine) ofEVSE(e Published, event sessionEvent) {
	switch event.kind {
	case "Enabled":
		m.disabled, m.told = false, false
	case "Disabled":
		m.disabled, m.told = true, false
	}
	m.pass(e)
}

// drop keeps an event of another session than the main board's away from it.
func (m *Machine) drop(reason DropReason, event sessionEvent, at time.Time) {
	finished, estimated := m.isFinished(event.session)
	scope := scopes[event.kind]
	isEnd := scope == endsTransaction || scope == endsSession
	switch {
	case reason == Foreign && estimated && scope == endsTransaction:
		reason = LateEnd
	case reason == Foreign && estimated:
		reason = AfterEstimate
	case reason == Foreign && finished:
		reason = Repeated
	}
	m.act(Drop{Reason: reason, Kind: event.kind, Session: event.session, Meter: keep(event.meter)})
	switch {
	case !estimated:
	case isEnd && m.orphan == event.session:
		m.orphan, m.stopBy = "", time.Time{}
	case !isEnd && m.session == nil:
		m.orphan = event.session
		if m.state == serving && m.stopBy.IsZero() {
			m.stopBy = at.Add(settleTime)
		}
	}
}

// begin handles SessionStarted and TransactionStarted. A transaction whose session's begin was not seen begins one.
func (m *Machine) begin(e Published, event sessionEvent) {
	finished, _ := m.isFinished(event.session)
	same := m.session != nil && m.session.id == event.session
	transaction := event.kind == "TransactionStarted"
	switch {
	case event.session == "", finished:
		m.drop(Foreign, event, e.At)
		return
	case same && !(transaction && m.session.phase == plugged):
		m.drop(Repeated, event, e.At)
		return
	case m.session != nil && !same:
		m.estimate(other)
	}
	if m.session == nil {
		m.session = &session{id: event.session}
		m.resumed, m.orphan, m.stopBy = "", "", time.Time{}
	}
	m.session.alive = true
	m.session.describe(event.connector, event.tag)
	m.observe(event.meter)
	if transaction {
		m.session.phase, m.session.began = charging, event.timestamp
	}
	m.pass(e)
	if transaction {
		m.keep(e.At)
	}
}

// describe keeps the connector, an integer, and the token, an object, of an event that begins a session.
func (s *session) describe(connector, tag json.RawMessage) {
	if _, err := strconv.ParseInt(string(connector), 10, 32); err == nil {
		s.connector = keep(connector)
	}
	if len(tag) > 0 && tag[0] == '{' {
		s.tag = keep(tag)
	}
}

// resume handles SessionResumed. EvseManager publishes it at its boot with the id of a transaction that it did not end.
// It keeps OCPP's transaction open over a restart of the main board, if it comes before OCPP starts. An agent says the
// same of an end that it has kept on disk. So an id that is used up does not mean that the open session has died.
func (m *Machine) resume(e Published, event sessionEvent) {
	m.resumed, m.booting = event.session, true
	finished, _ := m.isFinished(event.session)
	open := ""
	if m.session != nil {
		open = m.session.id
	} else if kept := m.config.Kept; m.resumable(kept) {
		open = kept.Session
	}
	switch {
	case event.session == "", finished, m.session == nil && m.ready, open != "" && open != event.session:
		// The transaction that is open has its own end yet to come, or ends with the boot: see waiting.
		m.drop(Foreign, event, e.At)
		return
	case m.session != nil:
		m.session.alive = true
	default:
		m.session = &session{id: event.session, phase: charging, alive: true}
		m.meter = reading{}
		if kept := m.config.Kept; m.resumable(kept) && kept.Session == event.session {
			m.recall(kept)
		}
	}
	m.pass(e)
}

// end handles TransactionFinished and SessionFinished. EvseManager leaves the uuid of a transaction empty that it ends
// at its boot, and ends no session then: Auth would keep the EVSE occupied.
func (m *Machine) end(e Published, event sessionEvent) {
	unnamed := event.session == ""
	atBoot := unnamed || m.booting && event.session == m.resumed
	if unnamed {
		event.session = m.resumed
	}
	if m.session == nil || m.session.id != event.session {
		m.drop(Foreign, event, e.At)
		return
	}
	m.session.alive = true
	transaction := scopes[event.kind] == endsTransaction
	m.observe(event.meter)
	if transaction && m.session.phase != charging {
		m.drop(map[phase]DropReason{plugged: Foreign, charged: Repeated}[m.session.phase], event, e.At)
		if atBoot {
			m.endAtBoot(event, e.At)
		}
		return
	}
	if !transaction && m.session.phase == charging {
		m.closeTransaction(event)
	}
	if unnamed {
		e.Value = event.named(e.Value, m.session.id)
	}
	m.pass(e)
	if transaction {
		m.session.phase = charged
		m.forget()
	}
	switch {
	case transaction && atBoot:
		m.endAtBoot(event, e.At)
	case !transaction:
		m.finish(false)
	}
}

// endAtBoot ends the session of a transaction that EvseManager has ended at its boot.
func (m *Machine) endAtBoot(event sessionEvent, now time.Time) {
	m.makeSessionEnd(m.lastMeter(now), cmp.Or(event.timestamp, now))
	m.finish(false)
}

// closeTransaction ends the transaction of a session that ends without.
func (m *Machine) closeTransaction(event sessionEvent) {
	at := m.estimatedEnd()
	meter := m.lastMeter(at)
	m.makeTransactionEnd(other, meter, at)
	m.act(Estimated{Session: event.session, Transaction: true, Meter: meter, Ended: at})
	m.session.phase, m.session.estimated = charged, true
}

// during handles an event within a session. One that names no session is of a type that this package does not know.
func (m *Machine) during(e Published, event sessionEvent) {
	_, known := withinSession[event.kind]
	switch {
	case event.session == "" && !known:
	case m.session == nil || m.session.id != event.session:
		m.drop(Foreign, event, e.At)
		return
	default:
		m.session.alive = true
		m.observe(event.meter)
	}
	m.pass(e)
}

// withinSession has the types of events that EvseManager publishes within a session only.
var withinSession = map[string]struct{}{
	"Authorized": {}, "Deauthorized": {}, "AuthRequired": {}, "PrepareCharging": {}, "ChargingStarted": {},
	"ChargingPausedEV": {}, "ChargingPausedEVSE": {}, "StoppingCharging": {}, "ChargingFinished": {}, "PluginTimeout": {},
	"SwitchingPhases": {},
}

// keep writes the open transaction to disk, and keepOpen its meter value from time to time. forget removes it.
func (m *Machine) keep(now time.Time) {
	m.kept, m.keeping = now, true
	m.act(Keep{Kept{
		Session: m.session.id, EVSE: m.config.EVSE, Connector: m.session.connector, Tag: m.session.tag, Meter: m.meter.value,
		Began: m.session.began, Heard: m.heard,
	}})
}

func (m *Machine) keepOpen(now time.Time) {
	if m.session != nil && m.session.phase == charging && now.Sub(m.kept) >= keepInterval {
		m.keep(now)
	}
}

func (m *Machine) forget() {
	if m.keeping {
		m.keeping = false
		m.act(Keep{})
	}
}
