package ledger

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Totals are the counts and delays of one satellite's port.
type Totals struct {
	// Published by the charge port, and Arrived on the main board.
	Published, Arrived int
	// Pushed by the main board, and PushArrived on the satellite.
	Pushed, PushArrived int
	// Raised and Cleared on the satellite's modules, and both on the main board.
	Raised, Cleared, RaisedOnMain, ClearedOnMain int
	// Unknown are the raised errors whose type EVerest does not know. The main board
	// cannot raise them.
	Unknown int
	// Called by the main board, and Answered to it.
	Called, Answered int
	// Lost is what a killed board held: it was sent to the board or by it, and never arrived.
	Lost int
	// WithoutLink are the calls of repeated commands that were answered while the
	// link was away, and never came to the satellite.
	WithoutLink int
	// Relay is the time from a variable's publish on the satellite to its arrival
	// on the main board, RoundTrip that of a command from call to answer.
	Relay, RoundTrip Durations
}

// Active returns the number of errors that are raised on the main board.
func (t *Totals) Active() int { return t.RaisedOnMain - t.ClearedOnMain }

// Add adds the counts of another round.
func (t *Totals) Add(other *Totals) {
	t.Published += other.Published
	t.Arrived += other.Arrived
	t.Pushed += other.Pushed
	t.PushArrived += other.PushArrived
	t.Raised += other.Raised
	t.Cleared += other.Cleared
	t.RaisedOnMain += other.RaisedOnMain
	t.ClearedOnMain += other.ClearedOnMain
	t.Unknown += other.Unknown
	t.Called += other.Called
	t.Answered += other.Answered
	t.Lost += other.Lost
	t.WithoutLink += other.WithoutLink
	t.Relay.AddAll(&other.Relay)
	t.RoundTrip.AddAll(&other.RoundTrip)
}

func (t *Totals) count(entry Entry) {
	switch entry.Kind {
	case Published:
		t.Published++
	case Arrived:
		t.Arrived++
	case Pushed:
		t.Pushed++
	case PushArrived:
		t.PushArrived++
	case Called:
		t.Called++
	case Error:
		countEither(entry.Raised, &t.Raised, &t.Cleared)
	case ErrorUnknown:
		if entry.Raised {
			t.Unknown++
		}
	case ErrorArrived:
		countEither(entry.Raised, &t.RaisedOnMain, &t.ClearedOnMain)
	}
}

func countEither(first bool, a, b *int) {
	if first {
		*a++
	} else {
		*b++
	}
}

// Durations keeps the newest measurements, up to a limit, and counts them all.
type Durations struct {
	Count  int
	newest []time.Duration
}

// maxDurations is how many measurements are kept: enough for a stable p99, and 32 KiB per satellite at most.
const maxDurations = 4096

// Add takes a measurement.
func (d *Durations) Add(measured time.Duration) {
	if len(d.newest) < maxDurations {
		d.newest = append(d.newest, measured)
	} else {
		d.newest[d.Count%maxDurations] = measured
	}
	d.Count++
}

// AddAll takes the kept measurements of another.
func (d *Durations) AddAll(other *Durations) {
	for _, measured := range other.newest {
		d.Add(measured)
	}
}

// Percentile returns the smallest kept measurement that a share p, from 0 to 1, of
// the kept ones does not exceed; 0 without measurements.
func (d *Durations) Percentile(p float64) time.Duration {
	if len(d.newest) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d.newest))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// String returns p50 and p99 in milliseconds.
func (d *Durations) String() string {
	if d.Count == 0 {
		return "-"
	}
	return milliseconds(d.Percentile(0.50)) + " / " + milliseconds(d.Percentile(0.99))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
