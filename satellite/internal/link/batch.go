package link

import "iter"

// Batch is the events of one answer. They stay encoded until they are published,
// so that an answer costs no more memory than its bytes.
type Batch struct {
	// Count and Bytes are the number of events and their Size in total.
	Count, Bytes int
	// Last is the highest number of them, 0 where the dialect has no numbers.
	Last uint64
	// decode calls yield for each event in order until it returns false.
	decode func(yield func(Event) bool)
}

// BatchOf returns a batch of events that are at hand.
func BatchOf(events ...Event) Batch {
	batch := Batch{Count: len(events), decode: func(yield func(Event) bool) {
		for _, event := range events {
			if !yield(event) {
				return
			}
		}
	}}
	for _, event := range events {
		batch.Bytes += event.Size()
		batch.Last = max(batch.Last, event.Number)
	}
	return batch
}

// All returns the events in their order. Their values are parts of the answer.
func (b Batch) All() iter.Seq[Event] {
	if b.decode == nil {
		return func(func(Event) bool) {}
	}
	return b.decode
}
