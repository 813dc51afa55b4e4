package control

import (
	"context"
	"slices"
	"sync"
	"time"
)

// RoundTrips keeps how long the last round trips took. Its methods may be called from any goroutine; the zero value is
// empty.
type RoundTrips struct {
	lock  sync.Mutex
	last  [roundTrips]time.Duration
	count int
	// next is closed at the next round trip; nil while nobody waits for it.
	next chan struct{}
}

// roundTrips is the size of the window: two minutes of a link's heartbeats.
const roundTrips = 256

// Add takes one round trip.
func (r *RoundTrips) Add(took time.Duration) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.last[r.count%roundTrips] = max(took, 0)
	r.count++
	if r.next != nil {
		close(r.next)
		r.next = nil
	}
}

// Clear forgets all: they were those of another link.
func (r *RoundTrips) Clear() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.count = 0
}

// Next waits for the next round trip and returns how long it took.
func (r *RoundTrips) Next(ctx context.Context) (time.Duration, error) {
	r.lock.Lock()
	if r.next == nil {
		r.next = make(chan struct{})
	}
	next := r.next
	r.lock.Unlock()
	select {
	case <-next:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.last[(r.count+roundTrips-1)%roundTrips], nil
}

// Latency sums up, nil where there was none.
func (r *RoundTrips) Latency() *Latency {
	r.lock.Lock()
	count := min(r.count, roundTrips)
	if count == 0 {
		r.lock.Unlock()
		return nil
	}
	last := r.last[(r.count-1)%roundTrips]
	sorted := slices.Clone(r.last[:count])
	r.lock.Unlock()
	slices.Sort(sorted)
	return &Latency{
		Last: last.Seconds(), Median: sorted[(count-1)/2].Seconds(), P99: sorted[(count*99+99)/100-1].Seconds(), Samples: count,
	}
}
