package link

import (
	"errors"
	"fmt"
	"sort"
)

// errJournalFull is the error of an event for which the journal has no room.
var errJournalFull = errors.New("satellite: journal is full")

// Limits bound a journal. Zero means the default.
type Limits struct {
	// Events is how many events are kept for a legacy controller. The default is 1000, as in the C++ agent: half a
	// minute of a charging AC port, which publishes 40 variables per second.
	Events int
	// Bytes is the sum of the values' sizes. The default is 16 MiB.
	Bytes int
	// V2Events replaces Events for a controller that speaks v2. The default is 20 000: more than a port publishes
	// within the resume window.
	V2Events int
}

func (l Limits) withDefaults() Limits {
	if l.Events == 0 {
		l.Events = 1000
	}
	if l.Bytes == 0 {
		l.Bytes = 16 << 20
	}
	if l.V2Events == 0 {
		l.V2Events = max(20_000, l.Events)
	}
	return l
}

// removed is the kind that marks the place of an evicted event.
const removed Kind = 0xff

// journalBuffer is the pure part of a journal: numbered events, oldest first, bounded. It has no lock and no clock.
type journalBuffer struct {
	limits Limits
	// events[head:] are the events kept, and holes counts the places among them that are marked as removed. drop
	// reclaims events[:head] now and then.
	events      []Event
	head, holes int
	bytes       int
	last        uint64
	// precious: every event below this number is marked GivenUpLast, or removed.
	precious uint64
	// superseded lists what may be evicted first. It is nil until the buffer is full for the first time, so that a
	// journal with room does not pay for it.
	superseded *superseded
	// scratch is what after returns where holes are in between.
	scratch []Event
}

// superseded lists the events that a newer value of the same variable replaces.
type superseded struct {
	newest map[variable]uint64
	// numbers are those of the replaced events, in the order of their replacement. Numbers of events that have left the
	// buffer are skipped.
	numbers []uint64
	head    int
}

type variable struct{ route, name string }

func newJournalBuffer(limits Limits) journalBuffer {
	return journalBuffer{limits: limits.withDefaults()}
}

// append numbers the event and keeps it. Where a limit would be exceeded it keeps nothing and returns errJournalFull.
func (b *journalBuffer) append(event Event) error {
	if b.len()+1 > b.limits.Events {
		return fmt.Errorf("%w: %d events wait for the controller", errJournalFull, b.len())
	}
	if b.bytes+event.size() > b.limits.Bytes {
		return fmt.Errorf("%w: %d bytes wait for the controller", errJournalFull, b.bytes)
	}
	b.last++
	event.Number = b.last
	b.events = append(b.events, event)
	b.bytes += event.size()
	if b.superseded != nil {
		b.superseded.add(event, b.first())
	}
	return nil
}

// take removes and returns the oldest events that one legacy answer can carry without changing their order. A legacy
// answer is variables, then errors, so it ends before the first variable after an error. It also ends before maxBytes
// are exceeded, but always takes one event.
func (b *journalBuffer) take(maxBytes int) []Event {
	if b.len() == 0 {
		return nil
	}
	taken := make([]Event, 0, min(b.len(), 64))
	places, size, errorSeen := 0, 0, false
	for _, event := range b.events[b.head:] {
		if event.Kind != removed {
			if len(taken) > 0 && (size+event.size() > maxBytes || errorSeen && !event.isError()) {
				break
			}
			errorSeen = errorSeen || event.isError()
			size += event.size()
			taken = append(taken, event)
		}
		places++
	}
	b.drop(places)
	return taken
}

// after returns the events above a number, oldest first, and keeps them. It ends before maxBytes are exceeded, but
// returns at least one event if there is any. The slice is valid until the next call of any method.
func (b *journalBuffer) after(number uint64, maxBytes int) []Event {
	waiting := b.events[b.head+b.place(number+1):]
	end, size := 0, 0
	for ; end < len(waiting); end++ {
		size += waiting[end].size()
		if size > maxBytes && size > waiting[end].size() {
			break
		}
	}
	waiting = waiting[:end]
	if b.holes == 0 {
		return waiting
	}
	b.scratch = b.scratch[:0]
	for _, event := range waiting {
		if event.Kind != removed {
			b.scratch = append(b.scratch, event)
		}
	}
	return b.scratch
}

// acknowledge forgets the events up to a number.
func (b *journalBuffer) acknowledge(number uint64) {
	b.drop(b.place(number + 1))
	if b.len() < b.limits.Events/2 && b.bytes < b.limits.Bytes/2 {
		b.superseded, b.scratch = nil, nil
	}
}

// evictSuperseded removes events of which only the newest of their variable matters and for which a newer one waits, in
// the order in which they were replaced, until a sixteenth of the buffer is free or no such event is left. It returns
// how many it removed.
func (b *journalBuffer) evictSuperseded() int {
	if b.superseded == nil {
		b.superseded = &superseded{newest: make(map[variable]uint64)}
		for _, event := range b.events[b.head:] {
			b.superseded.add(event, b.first())
		}
	}
	maxEvents, maxBytes := b.limits.Events-1-b.limits.Events/16, b.limits.Bytes-b.limits.Bytes/16
	evicted := 0
	for b.len() > maxEvents || b.bytes > maxBytes {
		number, there := b.superseded.next(b.first())
		if !there {
			break
		}
		event := &b.events[b.head+b.place(number)]
		if event.Number != number || event.Kind == removed {
			continue // evictOldest has removed it
		}
		b.remove(event)
		evicted++
	}
	b.closeHoles()
	return evicted
}

// evictOldest removes the oldest event that is not marked GivenUpLast. Where all are, it removes the oldest. It has no
// effect on an empty buffer.
func (b *journalBuffer) evictOldest() {
	for i := b.head + b.place(b.precious); i < len(b.events); i++ {
		event := &b.events[i]
		b.precious = event.Number
		if event.Kind != removed && !event.GivenUpLast {
			b.remove(event)
			b.closeHoles()
			return
		}
	}
	for b.head < len(b.events) {
		hole := b.events[b.head].Kind == removed
		b.drop(1)
		if !hole {
			return
		}
	}
}

// remove leaves a hole in the place of an event.
func (b *journalBuffer) remove(event *Event) {
	b.bytes -= event.size()
	*event = Event{Number: event.Number, Kind: removed}
	b.holes++
}

func (b *journalBuffer) closeHoles() {
	if b.holes > 64 && b.holes > b.len() {
		b.compact()
	}
}

// place returns the index in events[head:] of the first event with at least that number.
func (b *journalBuffer) place(number uint64) int {
	waiting := b.events[b.head:]
	return sort.Search(len(waiting), func(i int) bool { return waiting[i].Number >= number })
}

// first returns the oldest number that may still be in the buffer.
func (b *journalBuffer) first() uint64 {
	if b.head == len(b.events) {
		return b.last + 1
	}
	return b.events[b.head].Number
}

// drop removes the first places of events[head:].
func (b *journalBuffer) drop(places int) {
	dropped := b.events[b.head : b.head+places]
	for _, event := range dropped {
		b.bytes -= event.size()
		if event.Kind == removed {
			b.holes--
		}
	}
	clear(dropped) // the array must not keep alive what was handed out
	b.head += places
	if b.head == len(b.events) || b.head > 1024 && b.head > len(b.events)/2 {
		kept := copy(b.events, b.events[b.head:])
		clear(b.events[kept:])
		b.events, b.head = b.events[:kept], 0
	}
}

// compact closes the holes.
func (b *journalBuffer) compact() {
	kept := b.events[:0]
	for _, event := range b.events[b.head:] {
		if event.Kind != removed {
			kept = append(kept, event)
		}
	}
	clear(b.events[len(kept):])
	b.events, b.head, b.holes = kept, 0, 0
}

func (b *journalBuffer) len() int { return len(b.events) - b.head - b.holes }

// add takes note of an event that was appended.
func (s *superseded) add(event Event, first uint64) {
	if !event.NewestOnly {
		return
	}
	key := variable{event.Interface, event.Name}
	if before := s.newest[key]; before >= first {
		s.trim(first)
		s.numbers = append(s.numbers, before)
	}
	s.newest[key] = event.Number
}

// next returns the number of the next event to evict.
func (s *superseded) next(first uint64) (number uint64, there bool) {
	s.trim(first)
	if s.head == len(s.numbers) {
		return 0, false
	}
	number = s.numbers[s.head]
	s.head++
	return number, true
}

// trim skips events that have left the buffer.
func (s *superseded) trim(first uint64) {
	for s.head < len(s.numbers) && s.numbers[s.head] < first {
		s.head++
	}
	if s.head > 1024 && s.head > len(s.numbers)/2 {
		kept := copy(s.numbers, s.numbers[s.head:])
		s.numbers, s.head = s.numbers[:kept], 0
	}
}
