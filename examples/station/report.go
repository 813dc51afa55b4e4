package main

import (
	"encoding/json"
	"io"
	"os"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// A Report is one line that a board writes to the station.
type Report struct {
	Kind Kind `json:"kind"`
	// Process is the id of the process that reports.
	Process int `json:"process"`
	// Satellite is the number of the charge port that the report is about, from 1;
	// 0 where it concerns them all.
	Satellite int `json:"satellite,omitempty"`
	// Text describes a problem.
	Text   string        `json:"text,omitempty"`
	Status *Status       `json:"status,omitempty"`
	Entry  *ledger.Entry `json:"entry,omitempty"`
}

// Kind is the subject of a report.
type Kind string

// What boards report.
const (
	KindReady    Kind = "ready"    // every module of the board is ready
	KindPlayed   Kind = "played"   // the satellite has played everything
	KindFinished Kind = "finished" // the main board has stopped calling
	KindStatus   Kind = "status"   // the link as one of its modules sees it
	KindProblem  Kind = "problem"  // the text says what went wrong
	KindEntry    Kind = "entry"    // an entry for the ledger
)

// Status is the status of the link as one of its modules sees it.
type Status struct {
	// State of the handshake, in the module's own words.
	State string `json:"state"`
	// Journal is the number of events that wait on the satellite.
	Journal int `json:"journal"`
	// Dialect is "v2" or "legacy".
	Dialect string `json:"dialect,omitempty"`
	// Resumes is how often the link was resumed.
	Resumes uint64 `json:"resumes,omitempty"`
}

// working reports whether the link is as it should be.
func (s Status) working() bool { return s.State == handshake.Working.Name() }

// wasAway reports whether the link was away at this status, or since the one
// before.
func (s Status) wasAway(before Status) bool {
	return s.State == handshake.Resuming.String() || s.Resumes > before.Resumes
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

// Reporter writes reports. It is safe for concurrent use. A report is written
// before the method returns, so that a killed board has reported whatever it did.
type Reporter struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

// NewReporter writes to w.
func NewReporter(w io.Writer) *Reporter { return &Reporter{encoder: json.NewEncoder(w)} }

// Report writes one report. A failure means that the station is gone; the board
// learns that from the end of its orders.
func (r *Reporter) Report(report Report) {
	report.Process = os.Getpid()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.encoder.Encode(report)
}

// Record reports an entry for the ledger, with the present time.
func (r *Reporter) Record(entry ledger.Entry) {
	entry.At = time.Now().UnixNano()
	r.Report(Report{Kind: KindEntry, Satellite: entry.Satellite, Entry: &entry})
}
