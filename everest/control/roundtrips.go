package control

import (
	"context"
	"slices"
	"sync"
	"time"
)

// RoundTrips keeps the last round trips of one link. Its methods may be called from several goroutines. The zero value
// is empty.
type RoundTrips struct {
	mu    sync.Mutex
	last  [roundTripsLen]time.Duration
	count int
	// waiting gets the next round trip, once for each call of Next.
	waiting []chan<- time.Duration
}

// roundTripsLen is how many round trips are kept: two minutes of a link's heartbeats.
const roundTripsLen = 256

// Add records one round trip.
func (r *RoundTrips) Add(took time.Duration) {
	took = max(took, 0) // the clock may have been set back
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[r.count%roundTripsLen] = took
	r.count++
	for _, next := range r.waiting {
		next <- took
	}
	r.waiting = nil
}

// Next waits for the next round trip and returns how long it took.
func (r *RoundTrips) Next(ctx context.Context) (time.Duration, error) {
	next := make(chan time.Duration, 1)
	r.mu.Lock()
	r.waiting = append(r.waiting, next)
	r.mu.Unlock()
	select {
	case took := <-next:
		return took, nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting = slices.DeleteFunc(r.waiting, func(other chan<- time.Duration) bool { return other == next })
		return 0, ctx.Err()
	}
}

// Latency returns a summary, nil where there was no round trip.
func (r *RoundTrips) Latency() *Latency {
	r.mu.Lock()
	count := min(r.count, roundTripsLen)
	if count == 0 {
		r.mu.Unlock()
		return nil
	}
	last := r.last[(r.count-1)%roundTripsLen]
	sorted := slices.Clone(r.last[:count])
	r.mu.Unlock()
	slices.Sort(sorted)
	return &Latency{
		Last: last.Seconds(), Median: sorted[(count-1)/2].Seconds(), P99: sorted[(count*99+99)/100-1].Seconds(), Samples: count,
	}
}
