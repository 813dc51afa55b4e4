package handshake

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestLease plays an agent that freezes, and a network that holds bytes back, at random. A lease that holds means that
// the controller has not given the connection up. Without delays the lease always holds.
func TestLease(t *testing.T) {
	const timeout, held = 1500 * time.Millisecond, 500 * time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	late := 0
	for range 2000 {
		var lease Lease
		if lease.Holds(0, timeout) {
			t.Fatal("a lease that has not begun holds")
		}
		lease.Begin(0)
		slow := random.IntN(2) == 0
		delay := func() time.Duration {
			if slow && random.IntN(4) == 0 {
				return time.Duration(random.Int64N(int64(3 * time.Second)))
			}
			return time.Duration(random.Int64N(int64(50 * time.Millisecond)))
		}
		// given up is when the controller gives the connection up: timeout after the latest reply that it has.
		sent := time.Duration(0)
		for sent < time.Minute {
			arrived := sent + delay() // the reply arrives, and the controller calls again at once
			givenUp := arrived + timeout - timeout/8
			called := arrived + delay()
			lease.Called()
			for _, after := range []time.Duration{0, held / 2, held} {
				if now := called + after; lease.Holds(now, timeout) {
					if now > givenUp {
						t.Fatalf("the lease holds at %v, the connection was given up at %v", now, givenUp)
					}
				} else if late++; !slow {
					t.Fatalf("the lease ended at %v without a delay", now)
				}
			}
			sent = called + held
			lease.Replied(sent)
		}
	}
	if late == 0 {
		t.Error("the lease holds whatever is late")
	}
}
