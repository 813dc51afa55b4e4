package rpctest

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Faults decide what becomes of the bytes that one end writes: they may split, delay, repeat or change bytes, and cut
// the connection. The function is called with the bytes of each Write in turn, and must not keep them.
type Faults func(written []byte) []Delivery

// Delivery is what becomes of a part of what was written.
type Delivery struct {
	// Data arrives after Delay, and after everything before it.
	Data  []byte
	Delay time.Duration
	// Cut breaks the connection instead.
	Cut bool
}

var errCut = errors.New("connection cut")

// SplitEvery delivers n bytes at a time, each portion so much later than the one before.
func SplitEvery(n int, apart time.Duration) Faults {
	return func(written []byte) []Delivery {
		var all []Delivery
		for delay := apart; len(written) > 0; delay += apart {
			size := min(n, len(written))
			all = append(all, Delivery{Data: written[:size], Delay: delay})
			written = written[size:]
		}
		return all
	}
}

// CutAfter breaks the connection when n bytes were written, which arrive or not.
func CutAfter(n int) Faults {
	return func(written []byte) []Delivery {
		if n -= len(written); n >= 0 {
			return []Delivery{{Data: written}}
		}
		return []Delivery{{Data: written[:len(written)+n]}, {Cut: true}}
	}
}

// Odds are the probabilities of each fault, from 0 to 1, for each part of a message under Random.
type Odds struct {
	Split, Delay, Stall, Cut, Duplicate, Corrupt float64
	// LongestDelay is the upper bound of a random Delay, StallTime the length of a Stall.
	LongestDelay, StallTime time.Duration
}

// Random injects faults at random. The same source gives the same faults for the same writes.
func Random(random *rand.Rand, odds Odds) Faults {
	happens := func(p float64) bool { return p > 0 && random.Float64() < p }
	return func(written []byte) []Delivery {
		var all []Delivery
		for len(written) > 0 {
			size := len(written)
			if happens(odds.Split) {
				size = 1 + random.IntN(size)
			}
			part := Delivery{Data: append([]byte(nil), written[:size]...)}
			written = written[size:]
			if happens(odds.Delay) && odds.LongestDelay > 0 {
				part.Delay = time.Duration(random.Int64N(int64(odds.LongestDelay)))
			}
			if happens(odds.Stall) {
				part.Delay += odds.StallTime
			}
			if happens(odds.Corrupt) {
				part.Data[random.IntN(size)] ^= 1 << random.IntN(8)
			}
			all = append(all, part)
			if happens(odds.Duplicate) {
				all = append(all, part)
			}
			if happens(odds.Cut) {
				return append(all, Delivery{Cut: true})
			}
		}
		return all
	}
}
