package link

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// Journal keeps the satellite's events until the controller has them: towards a legacy controller until they are taken,
// towards one that speaks v2 until it has acknowledged them. It also knows which errors are active. Its methods may be
// called from any goroutine.
type Journal struct {
	mu     sync.Mutex
	buffer journalBuffer
	active activeErrors
	// legacy: the controller speaks legacy, and no value is evicted for a newer one.
	legacy bool
	// delivered counts the events that were handed over, up to is the last of those in v2.
	delivered, upTo uint64
	evicted         uint64
	// appended is closed at the next event; nil while nobody waits for it.
	appended chan struct{}
}

// NewJournal returns an empty journal.
func NewJournal(limits Limits) *Journal {
	return &Journal{buffer: newJournalBuffer(limits)}
}

// Eviction is what an event cost that found the journal full.
type Eviction struct {
	// Superseded counts the evicted values that a newer one replaces, Oldest the evicted events that nothing replaces.
	// FirstSuperseded and FirstOldest are set when nothing had been evicted before.
	Superseded, Oldest           int
	FirstSuperseded, FirstOldest bool
	// Full is the limit that was reached, nil where the event found room.
	Full error
	// Overflow reports that superseded values made no room: the controller has been away for too long.
	Overflow bool
}

// JournalStats is a snapshot of a journal.
type JournalStats struct {
	// Events and Bytes wait for the controller, at most MaxEvents and MaxBytes.
	Events, Bytes, MaxEvents, MaxBytes int
	// Collected counts all events, Evicted those without room, and Delivered those that were handed over.
	Collected, Evicted, Delivered uint64
	ActiveErrors                  int
}

// SetDialect follows an agreement: a controller that speaks v2 acknowledges, and Limits.V2Events bounds the journal
// from there on.
func (j *Journal) SetDialect(dialect handshake.Dialect) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.legacy = dialect == handshake.Legacy
	if !j.legacy {
		j.buffer.limits.Events = j.buffer.limits.V2Events
	}
}

// Append keeps an event. Where there is no room it evicts values that a newer one replaces, unless the controller is a
// legacy one, and then the oldest events: what is new describes the charge port better.
func (j *Journal) Append(event Event) Eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(event)
}

// AppendError keeps an error that was raised or cleared, and follows the set of active errors.
func (j *Journal) AppendError(event everest.ErrorEvent) Eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active.apply(event)
	return j.appendLocked(EventOf(event))
}

// AppendActive appends the set of active errors, so that the controller can clear those that it still has from an
// earlier link. The set supersedes a waiting one.
func (j *Journal) AppendActive() Eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(Event{Kind: Active, Value: j.active.encode(), NewestOnly: true})
}

func (j *Journal) appendLocked(event Event) (cost Eviction) {
	before := j.evicted
	cost.Full = j.buffer.append(event)
	full := cost.Full
	if full != nil && !j.legacy {
		if cost.Superseded = j.buffer.evictSuperseded(); cost.Superseded > 0 {
			full = j.buffer.append(event)
		}
	}
	cost.Overflow = full != nil
	for full != nil {
		cost.Oldest++
		if j.buffer.len() == 0 {
			break // the event alone is too large
		}
		j.buffer.evictOldest()
		full = j.buffer.append(event)
	}
	j.evicted += uint64(cost.Superseded + cost.Oldest)
	cost.FirstSuperseded = before == 0 && cost.Superseded > 0
	cost.FirstOldest = before+uint64(cost.Superseded) == 0 && cost.Oldest > 0
	if j.appended != nil {
		close(j.appended)
		j.appended = nil
	}
	return cost
}

// Take removes and returns the oldest events for one legacy answer: variables, then errors, of at most maxBytes unless
// one event alone is larger. keep decides which of them are handed over; the others are lost.
func (j *Journal) Take(maxBytes int, keep func(Event) bool) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := slices.DeleteFunc(j.buffer.take(maxBytes), func(e Event) bool { return !keep(e) })
	j.delivered += uint64(len(events))
	return events
}

// Acknowledge forgets the events up to a number.
func (j *Journal) Acknowledge(number uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buffer.acknowledge(number)
}

// Poll waits until there is an event above the number after, or until wait is over. It then hands write the oldest such
// events, of at most maxBytes unless one event alone is larger, and the number of events evicted so far. With maxBytes
// 0 write gets none. write must copy what it keeps, and must not call the journal. The error is the context's.
func (j *Journal) Poll(ctx context.Context, after uint64, maxBytes int, wait time.Duration, write func(evicted uint64, events []Event)) error {
	var expired <-chan time.Time
	for {
		appended, done := j.handOver(after, maxBytes, wait > 0, write)
		if done {
			return nil
		}
		if expired == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-appended:
		case <-expired:
			wait = 0
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handOver calls write and reports true, or returns what to wait for: nil, which blocks for ever, where no event is
// wanted.
func (j *Journal) handOver(after uint64, maxBytes int, mayWait bool, write func(uint64, []Event)) (appended <-chan struct{}, done bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var waiting []Event
	if maxBytes > 0 {
		waiting = j.buffer.after(after, maxBytes)
	}
	switch {
	case len(waiting) == 0 && mayWait && maxBytes == 0:
		return nil, false
	case len(waiting) == 0 && mayWait:
		if j.appended == nil {
			j.appended = make(chan struct{})
		}
		return j.appended, false
	}
	write(j.evicted, waiting)
	for i := len(waiting) - 1; i >= 0 && waiting[i].Number > j.upTo; i-- {
		j.delivered++
	}
	if len(waiting) > 0 {
		j.upTo = max(j.upTo, waiting[len(waiting)-1].Number)
	}
	return nil, true
}

// Stats returns a snapshot.
func (j *Journal) Stats() JournalStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return JournalStats{
		Events: j.buffer.len(), Bytes: j.buffer.bytes,
		MaxEvents: j.buffer.limits.Events, MaxBytes: j.buffer.limits.Bytes,
		Collected: j.buffer.last, Evicted: j.evicted, Delivered: j.delivered,
		ActiveErrors: len(j.active),
	}
}

// activeErrors are the errors that are active on the satellite, oldest first.
type activeErrors []everest.ErrorEvent

func (a *activeErrors) apply(event everest.ErrorEvent) {
	*a = slices.DeleteFunc(*a, func(other everest.ErrorEvent) bool { return other.Error.ID() == event.Error.ID() })
	if event.Raised {
		*a = append(*a, event)
	}
}

// encode writes them as the value of an event.
func (a activeErrors) encode() json.RawMessage {
	list := json.RawMessage("[")
	for i, event := range a {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, event.Raw...)
	}
	return append(list, ']')
}

// EventOf returns the event of an error that was raised or cleared.
func EventOf(event everest.ErrorEvent) Event {
	kind := Cleared
	if event.Raised {
		kind = Raised
	}
	return Event{Kind: kind, Value: event.Raw}
}
