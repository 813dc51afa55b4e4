package occupancy

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

const (
	// expiryDelay is how long EvseManager applies limits beyond their valid_for, measured: 1.03 to 1.13 s.
	expiryDelay = 1200 * time.Millisecond
	// expiryMargin is what is waited besides: the car stops, and clocks differ.
	expiryMargin = 2 * time.Second
	// maxValidFor is how long limits may be valid. Of longer ones it is not known when they run out.
	maxValidFor = 24 * time.Hour
)

// share is the EVSE's share of the main board's energy. EnergyNode keeps the last request of an EVSE for ever, and
// EnergyManager grants it.
type share struct {
	// node and kind are the uuid and the node_type of the last request, as they are written there. nil is none.
	node, kind json.RawMessage
	// validFor is the longest validity of limits that may be in force on the satellite, 0 where it is not known.
	validFor time.Duration
	// unbounded: there were limits whose end is not known.
	unbounded bool
	// freeAt is when the share is freed, zero for never.
	freeAt time.Time
}

// carry follows limits on their way to the satellite.
func (s *share) carry(e Told) {
	if e.Command == "enforce_limits" {
		s.valid(member(e.Arguments["value"], "valid_for"))
	}
}

// applied follows limits that EvseManager has taken.
func (s *share) applied(limits json.RawMessage) { s.valid(member(limits, "valid_for")) }

// valid takes the validity of limits, in seconds. Limits may be lost or late, so the longest counts.
func (s *share) valid(seconds json.RawMessage) {
	number, err := strconv.ParseFloat(string(seconds), 64)
	switch {
	case err != nil || number > maxValidFor.Seconds():
		s.unbounded = true
	case number >= 0:
		s.validFor = max(s.validFor, time.Duration(number*float64(time.Second)))
	}
}

// request remembers who requests energy.
func (s *share) request(value json.RawMessage) {
	node, kind := member(value, "uuid"), member(value, "node_type")
	if len(node) < 2 || len(node) > maxName || node[0] != '"' || len(kind) < 2 || len(kind) > maxName || kind[0] != '"' {
		return
	}
	s.node, s.kind = keep(node), keep(kind)
}

// lose sets when the share is freed, if limits may arrive until then.
func (s *share) lose(until time.Time) {
	s.freeAt = time.Time{}
	if s.node != nil && s.validFor > 0 && !s.unbounded {
		s.freeAt = until.Add(s.validFor + expiryDelay + expiryMargin)
	}
}

// zeroDemand returns a request for nothing, as an EvseManager without a car makes one: limits of 0 in both directions.
func (s *share) zeroDemand(now time.Time) json.RawMessage {
	const nothing = `{"ac_max_current_A":{"source":"satellite out of service","value":0.0},"total_power_W":{"source":"satellite out of service","value":0.0}}`
	schedule := `[{"limits_to_leaves":` + nothing + `,"limits_to_root":` + nothing + `,"timestamp":` + string(rawjson.AppendString(nil, format(now))) + `}]`
	return json.RawMessage(`{"children":[],"evse_state":"Disabled","node_type":` + string(s.kind) + `,"priority_request":true,"schedule_export":` +
		schedule + `,"schedule_import":` + schedule + `,"schedule_setpoints":[],"uuid":` + string(s.node) + `}`)
}
