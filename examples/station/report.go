package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Report is one line that a board writes to the station.
type Report struct {
	Kind Kind  `json:"kind"`
	At   int64 `json:"at"` // Unix time in nanoseconds
	// Satellite is the number of the charge port that the report is about, from 1;
	// 0 where it concerns them all.
	Satellite int `json:"satellite,omitempty"`
	// Name is a command, an error's identity, or the module of a status.
	Name string `json:"name,omitempty"`
	// Label is what a reader is shown.
	Label string `json:"label,omitempty"`
	// Digest identifies the value, so that the boards need not send it.
	Digest string `json:"digest,omitempty"`
	// Answer is the digest of a command's answer.
	Answer string `json:"answer,omitempty"`
	// Call numbers a command's call within its board's process.
	Call uint64 `json:"call,omitempty"`
	// Failure says why a call had no answer.
	Failure string `json:"failure,omitempty"`
	// Raised tells an error's raise from its clear.
	Raised bool `json:"raised,omitempty"`
	// Cost is what the process has used.
	Cost   *Cost   `json:"cost,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// Kind says what a report is about.
type Kind string

// What boards report.
const (
	KindReady    Kind = "ready"    // every module of the board is ready
	KindPlayed   Kind = "played"   // the satellite has played everything
	KindFinished Kind = "finished" // the main board has stopped calling
	KindStatus   Kind = "status"   // the link as one of its modules sees it
	KindProblem  Kind = "problem"  // the label says what went wrong
	KindCost     Kind = "cost"     // what a process has used; the label says until when

	KindPublished    Kind = "published"     // a satellite's charge port publishes a variable
	KindArrived      Kind = "arrived"       // the main board has received it
	KindPushed       Kind = "pushed"        // the main board publishes a variable for the satellites
	KindPushArrived  Kind = "push-arrived"  // a satellite has received it
	KindError        Kind = "error"         // a satellite's module raises or clears
	KindErrorArrived Kind = "error-arrived" // the main board has seen it
	KindErrorUnknown Kind = "error-unknown" // one whose type the main board cannot know
	KindCalled       Kind = "called"        // the main board calls a command
	KindServed       Kind = "served"        // the satellite's charge port answers it
	KindAnswered     Kind = "answered"      // the main board has the answer, or none
)

// Status is what a module of the link says about itself.
type Status struct {
	// State of the handshake, in the module's own words.
	State string `json:"state"`
	// Journal is the number of events that wait on the satellite.
	Journal int `json:"journal"`
	// Dialect is what the link speaks, Resumes how often it went on after it was
	// lost.
	Dialect string `json:"dialect,omitempty"`
	Resumes uint64 `json:"resumes,omitempty"`
}

// An Order is one line that the station writes to a board.
type Order struct {
	// Board is the first order: what the board is.
	Board *BoardConfig `json:"board,omitempty"`
	// Do is what to do now.
	Do Do `json:"do,omitempty"`
}

// Do is an order without parameters.
type Do string

// What the station orders.
const (
	DoPlay   Do = "play"   // satellite: play once; main board: start calling
	DoFinish Do = "finish" // main board: stop calling
)

// Reporter writes reports. It is safe for concurrent use; a report is written
// before the method returns, so that a killed board has reported whatever it did.
type Reporter struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

// NewReporter writes to w.
func NewReporter(w io.Writer) *Reporter { return &Reporter{encoder: json.NewEncoder(w)} }

// Report writes one report with the present time. A failure means that the
// station is gone; the board learns it from the end of its orders.
func (r *Reporter) Report(report Report) {
	report.At = time.Now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.encoder.Encode(report)
}

// Digest identifies a JSON value: two values have one digest if they differ in
// white space only. Number forms and the order of keys count, because the link
// promises to leave them alone.
func Digest(value json.RawMessage) string {
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		compact.Reset()
		fmt.Fprintf(&compact, "no JSON: %s", value)
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:8])
}

// DigestArguments identifies the arguments of a command, whose order is nothing
// that EVerest keeps.
func DigestArguments(arguments map[string]json.RawMessage) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		all = append(all, name+"="+Digest(arguments[name]))
	}
	return strings.Join(all, " ")
}

// Label names a variable, and the event where its value is one.
func Label(variable string, value json.RawMessage) string {
	var fields struct {
		Event  string `json:"event"`
		Status string `json:"status"`
	}
	// Values that are no object have no such field.
	_ = json.Unmarshal(value, &fields)
	switch {
	case fields.Event != "":
		return variable + " " + fields.Event
	case fields.Status != "":
		return variable + " " + fields.Status
	}
	return variable
}
