package occupancy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/rawjson"
)

// Bounds of what is kept of a peer's values, in bytes.
const (
	// maxName is how long a session's uuid, a type of event or an energy node's uuid may be. A longer one counts as
	// unreadable.
	maxName = 255
	// maxKept is how long a meter value, a token or the arguments of a command may be. A longer one is not kept.
	maxKept = 16 << 10
)

// sessionEvent is what the rules look at in a value of session_event.
type sessionEvent struct {
	kind, session string
	// from and to enclose the value of uuid in the bytes.
	from, to              int
	timestamp             time.Time
	connector, meter, tag json.RawMessage
}

var errUnreadable = errors.New("a session event needs a type and a uuid")

// readSessionEvent scans a value once. The members are slices of it.
func readSessionEvent(value json.RawMessage) (e sessionEvent, err error) {
	r := rawjson.NewReader(value)
	var kind, uuid json.RawMessage
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			break
		}
		switch string(name) {
		case "event":
			kind = r.Value()
		case "uuid":
			uuid = r.Value()
			e.from, e.to = r.Offset()-len(uuid), r.Offset()
		case "timestamp":
			e.timestamp = timeOf(r.Value())
		case "connector_id":
			e.connector = r.Value()
		default:
			e.readMember(&r)
		}
	}
	if err := r.Close(); err != nil {
		return sessionEvent{}, err
	}
	if len(kind) < 3 || len(kind) > maxName || kind[0] != '"' || len(uuid) < 2 || len(uuid) > maxName || uuid[0] != '"' {
		return sessionEvent{}, errUnreadable
	}
	e.kind, e.session = rawjson.String(kind), rawjson.String(uuid)
	return e, nil
}

// readMember looks for a meter value and a token in the members that belong to one type of event.
func (e *sessionEvent) readMember(r *rawjson.Reader) {
	if r.Kind() != '{' {
		r.Value()
		return
	}
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			return
		}
		switch value := r.Value(); string(name) {
		case "meter_value":
			e.meter = value
		case "id_tag":
			e.tag = value
		}
	}
}

// named returns the event's bytes with the uuid of a session.
func (e sessionEvent) named(value json.RawMessage, session string) json.RawMessage {
	out := append(make([]byte, 0, len(value)+len(session)), value[:e.from]...)
	return append(rawjson.AppendString(out, session), value[e.to:]...)
}

// reading is a meter value.
type reading struct {
	value json.RawMessage
	// imported is the register of imported energy, in Wh.
	imported float64
	at       time.Time
}

// readMeter reads a meter value and copies it. A value that is too long loses all but what EVerest demands. ok is false
// for a value without time, and for one without a finite register.
func readMeter(value json.RawMessage) (meter reading, ok bool) {
	r := rawjson.NewReader(value)
	var timestamp, energy json.RawMessage
	for r.Object(); ; {
		name, more := r.Next()
		if !more {
			break
		}
		switch member := r.Value(); string(name) {
		case "timestamp":
			timestamp = member
		case "energy_Wh_import":
			energy = member
		}
	}
	imported, err := strconv.ParseFloat(string(member(energy, "total")), 64)
	if r.Close() != nil || err != nil || rawjson.Text(timestamp) == nil {
		return reading{}, false
	}
	meter = reading{value: keep(value), imported: imported, at: timeOf(timestamp)}
	if meter.value == nil {
		meter.value = keep(json.RawMessage(`{"energy_Wh_import":` + string(energy) + `,"timestamp":` + string(timestamp) + `}`))
	}
	return meter, meter.value != nil
}

// member returns a member of an object, nil where there is none.
func member(object json.RawMessage, wanted string) (found json.RawMessage) {
	r := rawjson.NewReader(object)
	for r.Object(); ; {
		name, ok := r.Next()
		if !ok {
			break
		}
		if value := r.Value(); string(name) == wanted {
			found = value
		}
	}
	if r.Close() != nil {
		return nil
	}
	return found
}

// timeOf reads a time of EVerest, zero where it cannot be read.
func timeOf(value json.RawMessage) time.Time {
	at, err := time.Parse(time.RFC3339, rawjson.String(value))
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}
	}
	return at
}

// keep copies a value, so that it does not keep the message alive that it is part of. It returns nil for one that is too
// long.
func keep(value json.RawMessage) json.RawMessage {
	if len(value) == 0 || len(value) > maxKept {
		return nil
	}
	return bytes.Clone(value)
}
