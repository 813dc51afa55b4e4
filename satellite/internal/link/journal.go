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

// journal keeps the satellite's events until the controller has them: until a legacy controller has fetched them, or a
// v2 controller has acknowledged them. It also keeps the set of active errors. Its methods may be called from any
// goroutine.
type journal struct {
	mu     sync.Mutex
	buffer journalBuffer
	active activeErrors
	// legacy is set where the controller speaks legacy. No value is then evicted for a newer one.
	legacy bool
	// delivered counts the events that were handed over. In v2 upTo is the number of the last of them.
	delivered, upTo uint64
	evicted         uint64
	// asked is when the controller asked for events last.
	asked time.Time
	// appended is closed at the next event; nil while nobody waits for it.
	appended chan struct{}
	ends     unheardEnds
}

// maxUnasked is after how long without asking a controller counts as lost where the journal is full. A legacy controller asks
// every 25 ms, and waits for a while until what it got is published. A v2 controller asks again with each answer.
const maxUnasked = 10 * time.Second

func newJournal(limits Limits) *journal {
	return &journal{buffer: newJournalBuffer(limits), ends: newUnheardEnds()}
}

// eviction reports what was evicted to make room for one event.
type eviction struct {
	// superseded counts the evicted values that a newer value replaces. oldest counts the other evicted events.
	// firstSuperseded and firstOldest are set where nothing had been evicted before.
	superseded, oldest           int
	firstSuperseded, firstOldest bool
	// evicted counts all that were evicted until then.
	evicted uint64
	// full names the limit that was reached. It is nil where there was room.
	full error
	// overflow reports that evicting superseded values did not make enough room, and that the controller has not asked for
	// events for too long. A controller that asks is not lost: the events come faster than it takes them.
	overflow bool
}

// JournalStats is a snapshot of a journal.
type JournalStats struct {
	// Events and Bytes are what the journal keeps. MaxEvents and MaxBytes are its limits.
	Events, Bytes, MaxEvents, MaxBytes int
	// Collected counts all events, Evicted the events that were evicted, and Delivered the events that were handed
	// over.
	Collected, Evicted, Delivered uint64
	ActiveErrors                  int
}

// setDialect sets the dialect of an agreement. For v2 the journal is bounded by Limits.V2Events from then on.
func (j *journal) setDialect(dialect handshake.Dialect) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.legacy = dialect == handshake.Legacy
	if !j.legacy {
		j.buffer.limits.Events = j.buffer.limits.V2Events
	}
}

// append keeps an event. A full journal first evicts values that a newer one replaces, unless the controller is a
// legacy one. It then evicts the oldest events, because new events describe the charge port better.
func (j *journal) append(event Event) eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(event)
}

// appendError keeps the event of an error, and updates the set of active errors.
func (j *journal) appendError(event everest.ErrorEvent) eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active.apply(event)
	return j.appendLocked(EventOf(event))
}

// appendActive keeps the set of active errors as an event. The controller then clears the errors that it still has from
// an earlier link. The set supersedes a waiting one.
func (j *journal) appendActive() eviction {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(Event{Kind: Active, Value: j.active.encode(), NewestOnly: true})
}

func (j *journal) appendLocked(event Event) (cost eviction) {
	before := j.evicted
	cost.full = j.buffer.append(event)
	full := cost.full
	if full != nil && !j.legacy {
		if cost.superseded = j.buffer.evictSuperseded(); cost.superseded > 0 {
			full = j.buffer.append(event)
		}
	}
	cost.overflow = full != nil && time.Since(j.asked) > maxUnasked
	for full != nil {
		cost.oldest++
		if j.buffer.len() == 0 {
			break // the event alone is too large
		}
		j.buffer.evictOldest()
		full = j.buffer.append(event)
	}
	if event.Ends != "" {
		event.Number = j.buffer.last
		j.ends.add(event)
	}
	j.evicted += uint64(cost.superseded + cost.oldest)
	cost.evicted = j.evicted
	cost.firstSuperseded = before == 0 && cost.superseded > 0
	cost.firstOldest = before+uint64(cost.superseded) == 0 && cost.oldest > 0
	if j.appended != nil {
		close(j.appended)
		j.appended = nil
	}
	return cost
}

// take removes and returns the oldest events for one legacy answer: variables, then errors. They have at most maxBytes,
// unless one event alone is larger. An event for which keep returns false is lost. keep may change its event, and must
// not call the journal.
func (j *journal) take(maxBytes int, keep func(*Event) bool) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = time.Now()
	taken := j.buffer.take(maxBytes)
	if len(taken) > 0 {
		j.ends.heard(taken[len(taken)-1].Number)
	}
	events := taken[:0]
	for i := range taken {
		if keep(&taken[i]) {
			events = append(events, taken[i])
		}
	}
	j.delivered += uint64(len(events))
	return events
}

// Acknowledge forgets the events up to a number.
func (j *journal) acknowledge(number uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buffer.acknowledge(number)
	j.ends.heard(number)
}

// unheard returns the ends of transactions that the controller does not have, oldest first.
func (j *journal) unheard() []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.ends.events)
}

// poll waits at most the time wait for an event with a number above after. It then calls write with the count of
// evicted events and the oldest such events. These have at most maxBytes, unless one event alone is larger. With
// maxBytes 0 there are none. write must copy what it keeps, and must not call the journal. The error is the context's.
func (j *journal) poll(ctx context.Context, after uint64, maxBytes int, wait time.Duration, write func(evicted uint64, events []Event)) error {
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

// handOver calls write and returns done, or returns a channel that is closed at the next event. The channel is nil,
// which blocks for ever, where maxBytes is 0.
func (j *journal) handOver(after uint64, maxBytes int, mayWait bool, write func(uint64, []Event)) (appended <-chan struct{}, done bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = time.Now()
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

func (j *journal) stats() JournalStats {
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

// encode returns the errors as a JSON array of error objects.
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
