package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ledger compares, for one round, what the boards sent with what arrived at the
// other end. It is fed with reports in the order in which each board wrote them;
// reports of different boards may come in any order.
type Ledger struct {
	streams map[streamKey]*Stream
	calls   map[streamKey]*calls
	totals  map[int]*Totals
	// away are the satellites whose link was away in the round: see withoutLink.
	away map[int]bool
}

// streamKey is one flow of one thing between one satellite and the main board.
type streamKey struct {
	Satellite int
	Flow      flow
	Name      string
}

type flow string

const (
	flowVariables flow = "variables"
	flowPushes    flow = "variables to the satellite"
	flowErrors    flow = "error"
	flowCommands  flow = "command"
	flowAnswers   flow = "answer of"
)

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{away: map[int]bool{}, streams: map[streamKey]*Stream{}, calls: map[streamKey]*calls{}, totals: map[int]*Totals{}}
}

// LinkAway records that the satellite's link was away in the round.
func (l *Ledger) LinkAway(satellite int) { l.away[satellite] = true }

// Add takes a report. Kinds that are not about traffic are ignored.
func (l *Ledger) Add(report Report) {
	item := Item{Label: report.Label, Digest: report.Digest, At: time.Unix(0, report.At)}
	switch report.Kind {
	case KindPublished:
		l.relayed(report, l.stream(report, flowVariables).Send(item))
	case KindArrived:
		l.relayed(report, l.stream(report, flowVariables).Receive(item))
	case KindPushed:
		l.stream(report, flowPushes).Send(item)
	case KindPushArrived:
		l.stream(report, flowPushes).Receive(item)
	case KindError:
		l.stream(report, flowErrors).Send(item)
	case KindErrorArrived:
		l.stream(report, flowErrors).Receive(item)
	case KindCalled:
		l.stream(report, flowCommands).Send(item)
		l.callsOf(report).called(report)
	case KindServed:
		l.stream(report, flowCommands).Receive(item)
		item.Digest = report.Answer
		l.stream(report, flowAnswers).Send(item)
	case KindAnswered:
		if took, ok := l.callsOf(report).answered(report); ok {
			l.Totals(report.Satellite).Answered++
			l.Totals(report.Satellite).RoundTrip.Add(took)
			item.Digest = report.Answer
			l.stream(report, flowAnswers).Receive(item)
		}
	case KindErrorUnknown:
	default:
		return
	}
	l.Totals(report.Satellite).count(report)
}

func (l *Ledger) relayed(report Report, delays []time.Duration) {
	for _, delay := range delays {
		l.Totals(report.Satellite).Relay.Add(delay)
	}
}

// Totals are the counts of a satellite.
func (l *Ledger) Totals(satellite int) *Totals {
	if l.totals[satellite] == nil {
		l.totals[satellite] = new(Totals)
	}
	return l.totals[satellite]
}

func (l *Ledger) stream(report Report, flow flow) *Stream {
	key := streamKey{report.Satellite, flow, report.Name}
	if l.streams[key] == nil {
		l.streams[key] = &Stream{Skips: key.repeated()}
	}
	return l.streams[key]
}

func (l *Ledger) callsOf(report Report) *calls {
	key := streamKey{report.Satellite, flowCommands, report.Name}
	if l.calls[key] == nil {
		l.calls[key] = &calls{pending: map[uint64]time.Time{}}
	}
	return l.calls[key]
}

// Balanced reports whether everything that was sent until now has arrived.
func (l *Ledger) Balanced() bool {
	for key, stream := range l.streams {
		if key.Flow == flowAnswers && l.mayBeWithoutLink(key) {
			continue // judged with its commands
		}
		if !stream.Balanced() && (!l.mayBeWithoutLink(key) || !stream.balancedBy(l.answersOf(key))) {
			return false
		}
	}
	for _, calls := range l.calls {
		if len(calls.pending) > 0 {
			return false
		}
	}
	return true
}

// Settle ends the round; nothing may be added afterwards. Where a board was
// killed in it, what is missing counts as lost. It returns what is wrong in
// words, one line each: what is missing and not lost, changed, out of order or
// failed.
func (l *Ledger) Settle(killed bool) []string {
	var problems []string
	for _, stream := range l.streams {
		stream.Settle()
	}
	l.withoutLink()
	for _, key := range slices.SortedFunc(maps.Keys(l.streams), compareKeys) {
		stream := l.streams[key]
		if killed {
			l.Totals(key.Satellite).Lost += len(stream.Missing())
			if key.Flow == flowAnswers {
				// The controller answers a command without a result itself while no link stands; the command counts as lost.
				stream.Excuse(digestNull, stream.Received)
			}
		}
		for _, problem := range stream.Problems(killed) {
			problems = append(problems, key.String()+": "+problem)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.calls), compareKeys) {
		for _, problem := range l.calls[key].problems(killed) {
			problems = append(problems, key.String()+": "+problem)
		}
	}
	return problems
}

func compareKeys(a, b streamKey) int {
	return cmp.Or(cmp.Compare(a.Satellite, b.Satellite), cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.Name, b.Name))
}

func (k streamKey) String() string {
	text := fmt.Sprintf("%s: %s", satelliteName(k.Satellite), k.Flow)
	if k.Name != "" {
		text += " " + k.Name
	}
	return text
}
