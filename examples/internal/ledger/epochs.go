package ledger

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Epochs is a Stream of which this process sees both ends, so that each problem is
// known at once. When a process that held items is killed, the boards start
// afresh: a new epoch begins, and its first arrival shows that everything
// outstanding of earlier epochs is lost. Epochs is safe for concurrent use.
type Epochs struct {
	name    string
	problem func(string)

	mu      sync.Mutex
	stream  Stream
	epoch   int
	arrived int
	lost    []Item
	changed chan struct{}
}

// NewEpochs returns the account of a stream. It calls problem with a description
// of each thing that must not happen.
func NewEpochs(name string, problem func(string)) *Epochs {
	return &Epochs{name: name, problem: problem, changed: make(chan struct{})}
}

// Name returns the name given to NewEpochs.
func (e *Epochs) Name() string { return e.name }

// Fresh begins an epoch.
func (e *Epochs) Fresh() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch++
}

// Publish records what is about to be published. The key is unique.
func (e *Epochs) Publish(key, digest string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stream.Send(Item{Label: key, Digest: digest, At: time.Now(), epoch: e.epoch})
}

// Arrive records what has arrived.
func (e *Epochs) Arrive(key, digest string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	matches := e.stream.Receive(Item{Label: key, Digest: digest})
	if len(matches) == 0 {
		e.problem(fmt.Sprintf("%s: %s arrived changed, twice, or after its time", e.name, key))
		e.stream.early = nil
		return
	}
	for _, skipped := range e.stream.overtaken {
		if skipped.epoch == matches[0].Sent.epoch {
			e.problem(fmt.Sprintf("%s: %s arrived before %s, which was published earlier", e.name, key, skipped.Label))
			break
		}
		e.lost = append(e.lost, skipped)
	}
	e.stream.overtaken = nil
	e.arrived++
	close(e.changed)
	e.changed = make(chan struct{})
}

// IsNext reports whether the item has to arrive next of its epoch.
func (e *Epochs) IsNext(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := slices.IndexFunc(e.stream.outstanding, func(item Item) bool { return item.Label == key })
	return at == 0 || at > 0 && e.stream.outstanding[at-1].epoch != e.stream.outstanding[at].epoch
}

// TakeLost returns the items found lost since the last call.
func (e *Epochs) TakeLost() []Item {
	e.mu.Lock()
	defer e.mu.Unlock()
	lost := e.lost
	e.lost = nil
	return lost
}

// Counts returns how many items were published, arrived and are outstanding.
func (e *Epochs) Counts() (published, arrived, outstanding int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stream.Sent, e.arrived, len(e.stream.outstanding)
}

// Progress reports whether an item has arrived that was published after the first
// count items; for a negative count, whether nothing is outstanding. If not, the
// channel is closed at the next arrival.
func (e *Epochs) Progress(count int) (bool, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	outstanding := len(e.stream.outstanding)
	if count < 0 {
		return outstanding == 0, e.changed
	}
	// Everything before the first outstanding item has arrived or is lost.
	return e.stream.Sent-outstanding > count, e.changed
}
