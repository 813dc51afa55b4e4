package control

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoundTrips(t *testing.T) {
	var trips RoundTrips
	if trips.Latency() != nil {
		t.Error("a latency without round trips")
	}
	for i := 1; i <= 2*roundTripsLen; i++ {
		trips.Add(time.Duration(i) * time.Millisecond)
	}
	if got, want := *trips.Latency(), (Latency{Last: 0.512, Median: 0.384, P99: 0.510, Samples: 256}); got != want {
		t.Errorf("latency %+v, want %+v", got, want)
	}
	trips = RoundTrips{}
	trips.Add(-time.Second) // a clock that went back
	trips.Add(time.Second)
	if got, want := *trips.Latency(), (Latency{Last: 1, Median: 0, P99: 1, Samples: 2}); got != want {
		t.Errorf("latency %+v, want %+v", got, want)
	}
}

func TestRoundTripsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trips RoundTrips
		trips.Add(time.Second)
		got := make(chan time.Duration)
		for range 2 {
			go func() {
				took, err := trips.Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- took
			}()
		}
		synctest.Wait()
		trips.Add(3 * time.Second)
		trips.Add(time.Second) // is not the next any more
		for range 2 {
			if took := <-got; took != 3*time.Second {
				t.Errorf("the next took %v", took)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := trips.Next(ctx); err == nil {
			t.Error("Next returns without a round trip")
		}
	})
}
