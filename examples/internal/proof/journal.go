package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The places where an Observation is made.
const (
	onMain      = "main board"
	onSatellite = "satellite"
	atBackend   = "backend"
)

// The kinds of an Observation.
const (
	sessionEvent = "session event"
	limit        = "limit"
	modes        = "energy transfer modes"
	fault        = "error"
	token        = "token"
	tokenStatus  = "token status"
	message      = "OCPP message"
	certificate  = "answer to a car's request for a certificate"
	ended        = "ended"
	reading      = "meter reading"
	up           = "ready"
	down         = "down"
)

// The EVSEs of the station. The numbers are those of the main board.
const (
	local  = 1
	remote = 2
)

// Observation is something that a probe or the backend has seen.
type Observation struct {
	// Place is onMain, onSatellite or atBackend.
	Place, Kind string
	// EVSE is local or remote, and 0 where it is the whole station or not known.
	EVSE int
	// Name is the session event, the error's type, the token's status or the OCPP action.
	Name string
	// Raised is true for an error that is raised, and false for one that is cleared.
	Raised bool
	// Ampere is the value of a limit.
	Ampere float64
	Value  json.RawMessage
	// At is when the observation was made.
	At time.Time
}

// String returns the observation in a few words.
func (o Observation) String() string {
	switch o.Kind {
	case limit:
		return fmt.Sprintf("%g A", o.Ampere)
	case modes:
		return string(o.Value)
	case message:
		return o.message()
	case reading:
		return fmt.Sprintf("%.1f Wh", readMeter(o.Value).Energy.Total)
	}
	return o.Name
}

// message returns an OCPP message in a few words.
func (o Observation) message() string {
	var m struct{ IDTag, Status, ErrorCode, Info, VendorErrorCode string }
	if json.Unmarshal(o.Value, &m) != nil {
		return o.Name
	}
	words := []string{o.Name}
	if o.EVSE > 0 {
		words = append(words, fmt.Sprintf("EVSE %d", o.EVSE))
	}
	for _, word := range []string{m.IDTag, m.Status, m.ErrorCode, m.VendorErrorCode} {
		if word != "" && word != "NoError" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// journal keeps the observations of a station in their order.
type journal struct {
	mu           sync.Mutex
	observations []Observation
	arrived      chan struct{}
}

func newJournal() *journal { return &journal{arrived: make(chan struct{})} }

func (j *journal) add(o Observation) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o.At = time.Now()
	j.observations = append(j.observations, o)
	close(j.arrived)
	j.arrived = make(chan struct{})
}

// mark returns a position, for observations that come later.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.observations)
}

// since returns the observations from a position on that match.
func (j *journal) since(mark int, match func(Observation) bool) []Observation {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Observation
	for _, o := range j.observations[mark:] {
		if match(o) {
			found = append(found, o)
		}
	}
	return found
}

// last returns the latest observation that matches, and false where there is none.
func (j *journal) last(match func(Observation) bool) (Observation, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range slices.Backward(j.observations) {
		if match(o) {
			return o, true
		}
	}
	return Observation{}, false
}

// wait calls enough at once and after each observation, until it returns true.
func (j *journal) wait(ctx context.Context, enough func() bool) error {
	for {
		j.mu.Lock()
		arrived := j.arrived
		j.mu.Unlock()
		if enough() {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// text returns what was observed, a line each, in JSON.
func (j *journal) text() []byte {
	var text []byte
	for _, o := range j.since(0, func(Observation) bool { return true }) {
		line, err := json.Marshal(o)
		if err != nil {
			line = []byte(strconv.Quote(err.Error()))
		}
		text = append(append(text, line...), '\n')
	}
	return text
}
