package proof

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// transaction is one that the backend knows.
type transaction struct {
	id, evse int
	// stops are the StopTransactions of the backend.
	stops []stop
}

// stop is a StopTransaction.
type stop struct {
	At            time.Time `json:"-"`
	TransactionID int       `json:"transactionId"`
	MeterStop     int       `json:"meterStop"`
	Reason        string    `json:"reason"`
	IDTag         string    `json:"idTag"`
	Timestamp     time.Time `json:"timestamp"`
}

func (s stop) String() string {
	return fmt.Sprintf("StopTransaction(%s, %d Wh)", s.Reason, s.MeterStop)
}

// readStop reads a StopTransaction, whose reason OCPP may leave out.
func readStop(o Observation) (stop, error) {
	s := stop{Reason: "Local", At: o.At}
	err := json.Unmarshal(o.Value, &s)
	return s, err
}

// transactions returns those of the backend in the order of their ids, which the CSMS gives one by one.
func (r *Run) transactions() []transaction {
	var all []transaction
	for _, o := range r.journal.since(0, func(o Observation) bool { return o.Kind == message && o.Name == "StartTransaction" }) {
		all = append(all, transaction{id: len(all) + 1, evse: o.EVSE})
	}
	for _, o := range r.journal.since(0, func(o Observation) bool { return o.Kind == message && o.Name == "StopTransaction" }) {
		s, err := readStop(o)
		if err != nil || s.TransactionID < 1 || s.TransactionID > len(all) {
			continue
		}
		of := &all[s.TransactionID-1]
		of.stops = append(of.stops, s)
	}
	return all
}

// latest returns the newest transaction of an EVSE, which must have one.
func (r *Run) latest(evse int) transaction {
	found := transaction{}
	for _, t := range r.transactions() {
		if t.evse == evse {
			found = t
		}
	}
	return found
}

// stopped reports whether the backend knows the end of a transaction.
func (r *Run) stopped(id int) bool {
	all := r.transactions()
	return id >= 1 && id <= len(all) && len(all[id-1].stops) > 0
}

// meterOf is a Powermeter of EVerest.
type meterOf struct {
	Energy struct{ Total float64 }      `json:"energy_Wh_import"`
	Ampere struct{ L1, L2, L3 float64 } `json:"current_A"`
}

func readMeter(value json.RawMessage) meterOf {
	var m meterOf
	_ = json.Unmarshal(value, &m) // a reading without a value is 0
	return m
}

// register returns the last reading of the satellite's meter until a moment, in Wh.
func (r *Run) register(until time.Time) float64 {
	last, found := r.journal.last(func(o Observation) bool {
		return o.Kind == reading && o.Place == onSatellite && !o.At.After(until)
	})
	if !found {
		return 0
	}
	return readMeter(last.Value).Energy.Total
}

// ownEnd returns the meter value of the last TransactionFinished that the satellite's EvseManager published from a mark
// on.
func (r *Run) ownEnd(mark int) (wh float64, found bool) {
	for _, o := range r.journal.since(mark, func(o Observation) bool {
		return o.Kind == sessionEvent && o.Place == onSatellite && o.Name == "TransactionFinished"
	}) {
		var event struct {
			Finished struct {
				Meter meterOf `json:"meter_value"`
			} `json:"transaction_finished"`
		}
		if json.Unmarshal(o.Value, &event) == nil {
			wh, found = event.Finished.Meter.Energy.Total, true
		}
	}
	return wh, found
}

// limitsGoOn records the longest pause between two limits of the local EVSE from one moment to another. The local meter,
// which no link touches, tells for how long of it the whole machine was late.
func (r *Run) limitsGoOn(from, to time.Time) {
	within := func(kind string) []time.Time {
		var moments []time.Time
		for _, o := range r.journal.since(0, func(o Observation) bool {
			return o.Kind == kind && o.EVSE == local && o.Place == onMain && o.At.After(from) && o.At.Before(to)
		}) {
			moments = append(moments, o.At)
		}
		return moments
	}
	readings := within(reading)
	var longest, late, worst time.Duration
	limits := within(limit)
	for i := 1; i < len(limits); i++ {
		pause := limits[i].Sub(limits[i-1])
		stalled := stallWithin(readings, limits[i-1], limits[i])
		if pause-stalled > worst {
			longest, late, worst = pause, stalled, pause-stalled
		}
	}
	r.record("longest pause between the local EVSE's limits",
		fmt.Sprintf("%.2f s, of them %.2f s the local meter was late too", longest.Seconds(), late.Seconds()), len(limits) > 1 && worst <= r.pace.maxLimitGap)
}

// meterEvery is how often the simulated meter is read.
const meterEvery = 500 * time.Millisecond

// stallWithin returns by how much the meter was late at most in an interval.
func stallWithin(readings []time.Time, from, to time.Time) time.Duration {
	late := time.Duration(0)
	for i := 1; i < len(readings); i++ {
		if readings[i].After(from) && readings[i-1].Before(to) {
			late = max(late, readings[i].Sub(readings[i-1])-meterEvery)
		}
	}
	return late
}

// frames records what OCPP has sent of the satellite's EVSE since a mark, with the seconds from the begin.
func (r *Run) frames(mark int, begin time.Time, first transaction) {
	var words []string
	meters := 0
	for _, o := range r.journal.since(mark, func(o Observation) bool { return o.Kind == message }) {
		at := fmt.Sprintf("+%.1f s ", o.At.Sub(begin).Seconds())
		switch o.Name {
		case "MeterValues":
			if o.EVSE == remote {
				meters++
			}
		case "BootNotification":
			words = append(words, at+o.Name)
		case "StatusNotification":
			if o.EVSE == remote {
				words = append(words, at+strings.TrimPrefix(o.message(), "StatusNotification EVSE 2 "))
			}
		case "StartTransaction":
			if o.EVSE == remote {
				words = append(words, at+o.Name)
			}
		case "StopTransaction":
			if s, err := readStop(o); err == nil && r.evseOf(s.TransactionID) == remote {
				words = append(words, at+s.String())
			}
		}
	}
	words = append(words, fmt.Sprintf("%d MeterValues", meters))
	r.record("OCPP sent of EVSE 2", strings.Join(words, ", "), true)
}

func (r *Run) evseOf(id int) int {
	all := r.transactions()
	if id < 1 || id > len(all) {
		return 0
	}
	return all[id-1].evse
}

// endedOnce records that the backend got one end of a transaction, with a register that the satellite's meter had.
func (r *Run) endedOnce(check string, id int, reason string, wh float64) {
	all := r.transactions()
	if id < 1 || id > len(all) {
		r.record(check, "no transaction", false)
		return
	}
	stops := all[id-1].stops
	if len(stops) != 1 {
		r.record(check, fmt.Sprintf("%d StopTransactions: %v", len(stops), stops), false)
		return
	}
	seen := fmt.Sprintf("%s; the satellite's meter: %.1f Wh", stops[0], wh)
	r.record(check, seen, stops[0].Reason == reason && math.Abs(float64(stops[0].MeterStop)-wh) <= r.pace.maxStale)
}
