package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Ledger compares one stream of things that one board publishes with what arrives on the other: each once, unchanged, in
// order. Where a process that held some of them is killed, the boards start afresh: a new epoch begins, and with the first
// arrival from it all that is outstanding of those before is lost. It is safe for concurrent use.
type Ledger struct {
	lock        sync.Mutex
	epoch       int
	outstanding []item
	published   int
	arrived     int
	lost        []item
	problem     func(string)
	name        string
	changed     chan struct{}
}

type item struct {
	key, digest string
	epoch       int
	number      int
	at          time.Time
}

// NewLedger keeps account of a stream; problem is called with each thing that must not be, in words.
func NewLedger(name string, problem func(string)) *Ledger {
	return &Ledger{name: name, problem: problem, changed: make(chan struct{})}
}

// Fresh begins an epoch.
func (l *Ledger) Fresh() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.epoch++
}

// Publish takes down what is published, before it is. The key is unique.
func (l *Ledger) Publish(key, digest string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.published++
	l.outstanding = append(l.outstanding, item{key, digest, l.epoch, l.published, time.Now()})
}

// Arrive takes down what has arrived.
func (l *Ledger) Arrive(key, digest string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	at := slices.IndexFunc(l.outstanding, func(item item) bool { return item.key == key })
	if at < 0 {
		l.problem(fmt.Sprintf("%s: %s arrived twice, or after its time", l.name, key))
		return
	}
	found := l.outstanding[at]
	if found.digest != digest {
		l.problem(fmt.Sprintf("%s: %s arrived with another value", l.name, key))
	}
	for _, skipped := range l.outstanding[:at] {
		if skipped.epoch == found.epoch {
			l.problem(fmt.Sprintf("%s: %s arrived before %s, which was published earlier", l.name, key, skipped.key))
			break
		}
		l.lost = append(l.lost, skipped)
	}
	l.outstanding = append(l.outstanding[:0], l.outstanding[at+1:]...)
	l.arrived++
	close(l.changed)
	l.changed = make(chan struct{})
}

// IsNext tells whether something is what has to arrive next of its epoch.
func (l *Ledger) IsNext(key string) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	epoch := -1
	for _, item := range l.outstanding {
		if item.key == key {
			return item.epoch != epoch
		}
		epoch = item.epoch
	}
	return false
}

// Published is how many were published.
func (l *Ledger) Published() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.published
}

// TakeLost hands over what is known to be lost since the last call.
func (l *Ledger) TakeLost() []item {
	l.lock.Lock()
	defer l.lock.Unlock()
	lost := l.lost
	l.lost = nil
	return lost
}

// Counts returns how many were published and arrived, and how many are outstanding.
func (l *Ledger) Counts() (published, arrived, outstanding int) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.published, l.arrived, len(l.outstanding)
}

// Progress tells whether something arrived that was published after the first count of them, or, for a negative count,
// whether nothing is outstanding; where not, the channel is closed at the next arrival.
func (l *Ledger) Progress(count int) (bool, <-chan struct{}) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if count < 0 {
		return len(l.outstanding) == 0, l.changed
	}
	// Everything before the first outstanding one has arrived, or is lost.
	newest := l.published
	if len(l.outstanding) > 0 {
		newest = l.outstanding[0].number - 1
	}
	return newest > count, l.changed
}
