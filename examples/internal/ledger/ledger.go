// Package ledger compares what one board sent with what arrived on the other.
//
// A Stream is the comparison of one flow: each item once, unchanged, in order.
// Two accounts are built on it:
//
//	Ledger   the boards are processes that report Entries of their own, in any
//	         order relative to each other; it is settled at the end of a round
//	Epochs   one process sees both ends, and learns of a problem at once
//
// A process that is killed takes with it what it held. Both accounts count that as
// lost, apart from what is missing without such a reason.
package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Ledger compares, for one round, what the boards sent with what arrived at the
// other end. It takes entries in the order in which each board wrote them; entries
// of different boards may come in any order.
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

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{
		streams: map[streamKey]*Stream{}, calls: map[streamKey]*calls{}, totals: map[int]*Totals{},
		away: map[int]bool{},
	}
}

// LinkAway records that the satellite's link was away in the round.
func (l *Ledger) LinkAway(satellite int) { l.away[satellite] = true }

// Add takes an entry.
func (l *Ledger) Add(entry Entry) {
	item := Item{Label: entry.Label, Digest: entry.Digest, At: time.Unix(0, entry.At)}
	switch entry.Kind {
	case Published:
		l.relayed(entry, l.stream(entry, flowVariables).Send(item))
	case Arrived:
		l.relayed(entry, l.stream(entry, flowVariables).Receive(item))
	case Pushed:
		l.stream(entry, flowPushes).Send(item)
	case PushArrived:
		l.stream(entry, flowPushes).Receive(item)
	case Error:
		l.stream(entry, flowErrors).Send(item)
	case ErrorArrived:
		l.stream(entry, flowErrors).Receive(item)
	case Called:
		l.stream(entry, flowCommands).Send(item)
		l.callsOf(entry).pending[entry.Call] = item.At
	case Served:
		l.stream(entry, flowCommands).Receive(item)
		item.Digest = entry.Answer
		l.stream(entry, flowAnswers).Send(item)
	case Answered:
		if took, ok := l.callsOf(entry).answered(entry); ok {
			l.Totals(entry.Satellite).Answered++
			l.Totals(entry.Satellite).RoundTrip.Add(took)
			item.Digest = entry.Answer
			l.stream(entry, flowAnswers).Receive(item)
		}
	}
	l.Totals(entry.Satellite).count(entry)
}

func (l *Ledger) relayed(entry Entry, matches []Match) {
	for _, match := range matches {
		l.Totals(entry.Satellite).Relay.Add(match.Arrived.At.Sub(match.Sent.At))
	}
}

// Totals returns the counts of a satellite.
func (l *Ledger) Totals(satellite int) *Totals {
	if l.totals[satellite] == nil {
		l.totals[satellite] = new(Totals)
	}
	return l.totals[satellite]
}

func (l *Ledger) stream(entry Entry, flow flow) *Stream {
	key := streamKey{entry.Satellite, flow, entry.Name}
	if l.streams[key] == nil {
		l.streams[key] = &Stream{Skips: key.isRepeated()}
	}
	return l.streams[key]
}

func (l *Ledger) callsOf(entry Entry) *calls {
	key := streamKey{entry.Satellite, flowCommands, entry.Name}
	if l.calls[key] == nil {
		l.calls[key] = &calls{pending: map[uint64]time.Time{}}
	}
	return l.calls[key]
}

// Balanced reports whether everything that was sent until now has arrived.
func (l *Ledger) Balanced() bool {
	for key, stream := range l.streams {
		if key.Flow == flowAnswers && key.isRepeated() && !l.commandsOf(key).Balanced() {
			continue // judged with its commands
		}
		if !stream.Balanced() && (l.mayBeMissing(key) < len(stream.Missing()) || !stream.balancedBy(l.answersOf(key), digestNull())) {
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

// Settle ends the round; nothing may be added afterwards. If a board was killed in
// the round, what is missing counts as lost. Settle returns one line for each
// thing that is missing and not lost, changed, out of order or failed.
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
				// Without a link the controller itself answers a command without a result. The command counts as lost.
				stream.Excuse(digestNull(), stream.Received)
				// A command with one has waited for the link, or its board restarts with the killed one.
				stream.Excuse(digestFalse(), len(l.commandsOf(key).Missing())+len(stream.Missing()))
			}
			if key.Flow == flowAnswers && key.Name == rememberedCommand {
				stream.unexpected = nil // the controller's own, for as long as the board was away
			}
		}
		for _, problem := range stream.Problems(killed) {
			problems = append(problems, key.String()+": "+problem)
		}
	}
	if killed {
		return problems // the answers of the calls under way are lost with the board
	}
	for _, key := range slices.SortedFunc(maps.Keys(l.calls), compareKeys) {
		for _, problem := range l.calls[key].problems() {
			problems = append(problems, key.String()+": "+problem)
		}
	}
	return problems
}

func compareKeys(a, b streamKey) int {
	return cmp.Or(cmp.Compare(a.Satellite, b.Satellite), cmp.Compare(a.Flow, b.Flow), cmp.Compare(a.Name, b.Name))
}

func (k streamKey) String() string {
	text := fmt.Sprintf("satellite%d: %s", k.Satellite, k.Flow)
	if k.Name != "" {
		text += " " + k.Name
	}
	return text
}

// calls follows the calls of one command from the main board.
type calls struct {
	pending map[uint64]time.Time
	failed  int
	failure string // of the last call that failed
}

// answered ends a call and returns how long it took; false if it has no answer.
func (c *calls) answered(entry Entry) (time.Duration, bool) {
	start, known := c.pending[entry.Call]
	if !known {
		return 0, false
	}
	delete(c.pending, entry.Call)
	if entry.Failure != "" {
		c.failed++
		c.failure = entry.Failure
		return 0, false
	}
	return time.Unix(0, entry.At).Sub(start), true
}

func (c *calls) problems() []string {
	var problems []string
	if len(c.pending) > 0 {
		problems = append(problems, fmt.Sprintf("%d calls without an answer", len(c.pending)))
	}
	if c.failed > 0 {
		problems = append(problems, fmt.Sprintf("%d calls failed, the last with: %s", c.failed, c.failure))
	}
	return problems
}

// digestNull is the digest of the answer of a command without a result.
func digestNull() string { return Digest(json.RawMessage("null")) }

// digestFalse is the digest of a controller's own negative answer.
func digestFalse() string { return Digest(json.RawMessage("false")) }

// repeatedCommand is the one that a controller answers at once while its link is
// away: its caller repeats it before long.
const repeatedCommand = "enforce_limits"

// rememberedCommand is the one whose last answer a controller gives itself while its link is away for long.
const rememberedCommand = "get_evse"

// isRepeated reports whether the stream is that of a repeated command, or of its
// answers.
func (key streamKey) isRepeated() bool {
	return (key.Flow == flowCommands || key.Flow == flowAnswers) && key.Name == repeatedCommand
}

// mayBeMissing returns how many of the calls that did not come to the satellite may be missing although nothing is lost:
// those of a repeated command that a newer one replaced and, where the link was away, the last ones too.
func (l *Ledger) mayBeMissing(key streamKey) int {
	switch stream := l.streams[key]; {
	case key.Flow != flowCommands || !key.isRepeated():
		return 0
	case l.away[key.Satellite]:
		return len(stream.Missing())
	default:
		return len(stream.overtaken)
	}
}

// answersOf returns the stream of the answers to a stream of calls.
func (l *Ledger) answersOf(commands streamKey) *Stream {
	commands.Flow = flowAnswers
	return l.streamOrNone(commands)
}

// commandsOf returns the stream of the calls to a stream of answers.
func (l *Ledger) commandsOf(answers streamKey) *Stream {
	answers.Flow = flowCommands
	return l.streamOrNone(answers)
}

func (l *Ledger) streamOrNone(key streamKey) *Stream {
	if stream := l.streams[key]; stream != nil {
		return stream
	}
	return new(Stream)
}

// balancedBy reports whether as many calls did not arrive as were answered with
// the digest by another module.
func (s *Stream) balancedBy(answers *Stream, digest string) bool {
	other := func(item Item) bool { return item.Digest != digest }
	return len(s.early) == 0 && len(answers.Missing()) == 0 &&
		len(answers.early) == len(s.Missing()) && !slices.ContainsFunc(answers.early, other)
}

// withoutLink takes out of a settled ledger the calls that were answered while
// their link was away or slow: each is missing on the satellite and has an answer
// null that the satellite did not give.
func (l *Ledger) withoutLink() {
	for key, stream := range l.streams {
		answered := l.answersOf(key).Excuse(digestNull(), l.mayBeMissing(key))
		stream.Forgive(answered)
		l.Totals(key.Satellite).WithoutLink += answered
	}
}
