package main

// Totals are the counts and delays of one satellite's port.
type Totals struct {
	// Published by the charge port, and Arrived on the main board.
	Published, Arrived int
	// Pushed by the main board, and PushArrived on the satellite.
	Pushed, PushArrived int
	// Raised and Cleared on the satellite's modules, and both on the main board.
	Raised, Cleared, RaisedOnMain, ClearedOnMain int
	// Unknown are the raised errors whose type EVerest does not know: nobody can
	// raise them on the main board.
	Unknown int
	// Called by the main board, and Answered to it.
	Called, Answered int
	// Lost is what a killed board held: sent to it or by it, and never arrived.
	Lost int
	// WithoutLink are the calls of repeated commands that were answered while no
	// link stood, and never came to the satellite.
	WithoutLink int
	// Relay is the time from a variable's publish on the satellite to its arrival
	// on the main board, RoundTrip that of a command from call to answer.
	Relay, RoundTrip Durations
}

// Active is the number of errors that stand on the main board.
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

func (t *Totals) count(report Report) {
	switch report.Kind {
	case KindPublished:
		t.Published++
	case KindArrived:
		t.Arrived++
	case KindPushed:
		t.Pushed++
	case KindPushArrived:
		t.PushArrived++
	case KindCalled:
		t.Called++
	case KindError:
		countEither(report.Raised, &t.Raised, &t.Cleared)
	case KindErrorUnknown:
		if report.Raised {
			t.Unknown++
		}
	case KindErrorArrived:
		countEither(report.Raised, &t.RaisedOnMain, &t.ClearedOnMain)
	}
}

func countEither(first bool, a, b *int) {
	if first {
		*a++
	} else {
		*b++
	}
}
