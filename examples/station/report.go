package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/ledger"
)

// A Report is one line that a board writes to the station.
type Report struct {
	Kind Kind `json:"kind"`
	// Satellite is the number of the charge port that the report is about, from 1;
	// 0 where it concerns them all.
	Satellite int `json:"satellite,omitempty"`
	// Name is the module of a status, or the sort of process of a cost.
	Name string `json:"name,omitempty"`
	// Label is what a reader is shown.
	Label string `json:"label,omitempty"`
	// Entry is for the ledger.
	Entry *ledger.Entry `json:"entry,omitempty"`
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
	KindEntry    Kind = "entry"    // an entry for the ledger
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
func (r *Reporter) Report(report Report) { r.write(report) }

func (r *Reporter) write(report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.encoder.Encode(report)
}

// Record reports an entry for the ledger.
func (r *Reporter) Record(entry ledger.Entry) {
	entry.At = time.Now().UnixNano()
	r.write(Report{Kind: KindEntry, Entry: &entry})
}
