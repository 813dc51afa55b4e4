package joint

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/occupancy"
)

// station is what OCPP, Auth and EnergyNode of the main board know of the EVSE. As the real ones they take events by
// connector and compare no uuid; the checks do.
type station struct {
	// connected: OCPP has started, and ended each transaction that nobody resumed. queued is what it does then.
	connected bool
	queued    []told
	resumed   set
	// open is OCPP's transaction and occupant Auth's session, 0 for none. OCPP's outlives the process.
	open, occupant byte
	// begun, closed are the transactions that have begun and ended for OCPP, over the sessions that have ended for Auth.
	begun, closed, over set
	// requested: the satellite has requested energy. freed: its share is free.
	faulted, requested, freed bool
}

type told struct{ kind, session byte }

// set is a set of sessions.
type set uint8

func (s set) has(session byte) bool { return s&(1<<session) != 0 }

func (s *set) add(session byte) { *s |= 1 << session }

// restart is the restart of the main board's modules: OCPP keeps its open transaction.
func (s *station) restart() {
	*s = station{open: s.open, begun: s.begun, closed: s.closed}
}

// published follows a variable that reaches the main board's modules.
func (w *world) published(p occupancy.Publish) {
	s := &w.station
	if p.Variable == "ready" && string(p.Value) == "true" && !s.connected {
		s.connected = true
		if s.open != 0 && !s.resumed.has(s.open) {
			s.closed.add(s.open)
			s.open = 0
		}
		for _, t := range s.queued {
			w.ocpp(t)
		}
		s.queued = nil
	}
	if p.Variable != "session_event" {
		return
	}
	var e struct{ Event, UUID string }
	if err := json.Unmarshal(p.Value, &e); err != nil {
		w.breaks("%v", err)
	}
	if e.UUID == "" {
		if strings.HasSuffix(e.Event, "Finished") {
			w.breaks("%s is published without a session", e.Event)
		}
		return
	}
	session := e.UUID[0] - '@'
	if s.over.has(session) {
		w.breaks("%s of session %s is published after its end", e.Event, e.UUID)
	}
	switch e.Event {
	case "SessionResumed":
		s.resumed.add(session)
	case "SessionStarted":
		w.occupy(session)
	case "TransactionStarted":
		w.occupy(session)
		w.ocpp(told{transactionStarted, session})
	case "TransactionFinished":
		w.ocpp(told{transactionFinished, session})
	case "SessionFinished":
		if s.occupant != 0 && s.occupant != session {
			w.breaks("the end of session %s reaches session %s", e.UUID, name(s.occupant))
		}
		s.occupant = 0
		s.over.add(session)
	}
}

func (w *world) occupy(session byte) {
	if s := &w.station; s.occupant != 0 && s.occupant != session {
		w.breaks("session %s begins while session %s is open", name(session), name(s.occupant))
	}
	w.station.occupant = session
}

// ocpp takes the begin or the end of a transaction.
func (w *world) ocpp(t told) {
	s := &w.station
	switch {
	case !s.connected:
		s.queued = append(s.queued, t)
	case t.kind == transactionStarted && s.open != 0:
		w.breaks("the transaction of %s begins while that of %s is open", name(t.session), name(s.open))
	case t.kind == transactionStarted && s.begun.has(t.session):
		w.breaks("the transaction of %s begins twice", name(t.session))
	case t.kind == transactionStarted:
		s.open = t.session
		s.begun.add(t.session)
	case s.open == 0: // OCPP: trying to stop a transaction that is unknown
	case s.open != t.session:
		w.breaks("the end of the transaction of %s reaches that of %s", name(t.session), name(s.open))
	default:
		s.open = 0
		s.closed.add(t.session)
	}
}

// settled checks what has to hold once everything is linked again and nothing is outstanding.
func (w *world) settled() {
	s, p := &w.station, &w.port
	switch {
	case !w.healthy() || !w.satellite.ready || !w.main.ready:
		w.breaks("the boards do not work together again")
	case s.occupant != 0 && s.occupant != p.session:
		w.breaks("session %s never ends for Auth", name(s.occupant))
	case s.open != 0 && !(p.charging && p.session == s.open):
		w.breaks("the transaction of %s never ends", name(s.open))
	case p.charging && s.closed.has(p.session):
		w.breaks("the transaction of %s runs on after its end", name(p.session))
	case s.faulted:
		w.breaks("the EVSE stays out of service")
	case !s.connected:
		w.breaks("OCPP does not start")
	}
	for i, c := range w.commands {
		if !c.answered {
			w.breaks("command %d has no answer", i)
		}
	}
}

// abandoned checks what has to hold while a satellite stays away, once no timer runs any more.
func (w *world) abandoned() {
	s := &w.station
	if _, fire := w.next(); fire != nil || !w.main.ready || w.controller.State() != handshake.OutOfService {
		return
	}
	switch {
	case s.occupant != 0 || s.open != 0:
		w.breaks("a session stays open although the satellite stays away")
	case !s.faulted || !s.connected:
		w.breaks("nobody sees that the satellite is away")
	case s.requested && !s.freed && slices.ContainsFunc(w.commands, func(c command) bool { return c.kind == limits && c.received < w.lostAt }):
		w.breaks("the share of a satellite that stays away is never freed")
	}
}

func (w *world) nameStation(n *namer) {
	s := &w.station
	n.flags(s.connected, s.faulted, s.requested, s.freed)
	n.bytes = append(n.bytes, byte(s.resumed), s.open, s.occupant, byte(s.begun), byte(s.closed), byte(s.over))
	for _, t := range s.queued {
		n.bytes = append(n.bytes, t.kind, t.session)
	}
	n.bytes = append(n.bytes, '|')
}
