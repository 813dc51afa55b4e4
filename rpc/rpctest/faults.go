package rpctest

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Faults is a function that gets the bytes of each Write of one end in turn and returns what arrives at the other end.
// It may split, delay, repeat or change the bytes, or cut the connection. It must not keep the bytes after it returns.
type Faults func(written []byte) []Delivery

// Delivery is one portion of bytes that arrives at the other end, or a cut of the connection.
type Delivery struct {
	// Data arrives after Delay, but never before the data of earlier deliveries.
	Data  []byte
	Delay time.Duration
	// Cut breaks the connection. Data and Delay are then ignored.
	Cut bool
}

var errCut = errors.New("connection cut")

// SplitEvery delivers each Write in portions of n bytes. The duration apart passes before the first portion arrives,
// and again before each further portion.
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

// CutAfter breaks the connection when more than n bytes are written. The peer then loses those of the first n bytes
// that it has not read yet.
func CutAfter(n int) Faults {
	return func(written []byte) []Delivery {
		if n -= len(written); n >= 0 {
			return []Delivery{{Data: written}}
		}
		return []Delivery{{Data: written[:len(written)+n]}, {Cut: true}}
	}
}

// Odds are the probabilities, from 0 to 1, with which Random applies each fault to each part of a Write.
type Odds struct {
	Split, Delay, Stall, Cut, Duplicate, Corrupt float64
	// LongestDelay is the upper bound of a random Delay. StallTime is the length of a Stall.
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
