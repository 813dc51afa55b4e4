package occupancy

import (
	"encoding/json"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// The reasons of an estimated end, in EVerest's words.
const (
	powerLoss = "PowerLoss"
	other     = "Other"
)

// estimate ends the session that the main board knows, with what is known of it.
func (m *Machine) estimate(reason string) {
	open := m.session.phase == charging
	ended := m.estimatedEnd()
	meter := m.lastMeter(ended)
	if open {
		m.makeTransactionEnd(reason, meter, ended)
	}
	m.makeSessionEnd(meter, ended)
	m.act(Estimated{Session: m.session.id, Transaction: open, Meter: meter, Ended: ended})
	m.finish(true)
}

// makeTransactionEnd publishes ChargingFinished and TransactionFinished for the open session.
func (m *Machine) makeTransactionEnd(reason string, meter json.RawMessage, at time.Time) {
	m.make("ChargingFinished", m.session.id, at, "", nil)
	finished := []byte{'{'}
	if m.session.tag != nil {
		finished = append(append(append(finished, `"id_tag":`...), m.session.tag...), ',')
	}
	finished = append(append(finished, `"meter_value":`...), meter...)
	finished = append(rawjson.AppendString(append(finished, `,"reason":`...), reason), '}')
	m.make("TransactionFinished", m.session.id, at, "transaction_finished", finished)
}

func (m *Machine) makeSessionEnd(meter json.RawMessage, at time.Time) {
	m.make("SessionFinished", m.session.id, at, "session_finished", json.RawMessage(`{"meter_value":`+string(meter)+`}`))
}

// make publishes a session event of the machine's own. A member of name empty has none.
func (m *Machine) make(kind, session string, at time.Time, name string, member json.RawMessage) {
	out := []byte{'{'}
	if m.session != nil && m.session.connector != nil && session != "" {
		out = append(append(append(out, `"connector_id":`...), m.session.connector...), ',')
	}
	out = append(append(append(out, `"event":"`...), kind...), '"')
	if name != "" {
		out = append(append(append(append(out, ',', '"'), name...), '"', ':'), member...)
	}
	out = append(append(append(out, `,"timestamp":"`...), format(at)...), `","uuid":`...)
	m.act(Publish{Variable: sessionEventVariable, Value: append(rawjson.AppendString(out, session), '}')})
}

// estimatedEnd returns when the session ended as far as anybody knows: the time of the last meter value. That time is
// of the satellite's clock, as the session's begin is, so that the duration is right even where the clock is not.
// Without a usable time of the meter it is when the satellite was heard last, and never before the begin.
func (m *Machine) estimatedEnd() time.Time {
	began := m.session.began
	switch {
	case !m.meter.at.IsZero() && !m.meter.at.Before(began):
		return m.meter.at
	case m.heard.Before(began):
		return began
	}
	return m.heard
}

// lastMeter returns the last meter value. EvseManager, too, takes a register of 0 where its meter never gave one.
func (m *Machine) lastMeter(at time.Time) json.RawMessage {
	if m.meter.value != nil {
		return m.meter.value
	}
	return json.RawMessage(`{"energy_Wh_import":{"total":0},"timestamp":"` + format(at) + `"}`)
}

// observe takes a meter value. While a transaction is open, the register never falls: a lower one is that of a meter
// that was reset or runs backwards, and does not bill what was charged.
func (m *Machine) observe(value json.RawMessage) {
	if value == nil {
		return
	}
	meter, ok := readMeter(value)
	if !ok || m.session != nil && m.session.phase == charging && m.meter.value != nil && meter.imported < m.meter.imported {
		return
	}
	m.meter = meter
}

// format returns a time as EVerest writes it.
func format(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
