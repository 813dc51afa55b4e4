package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Durations keeps the newest measurements, up to a limit, and counts them all.
type Durations struct {
	Count  int
	newest []time.Duration
}

// maxDurations is enough for a stable p99 and little memory per satellite.
const maxDurations = 4096

// Add takes a measurement.
func (d *Durations) Add(measured time.Duration) {
	if len(d.newest) < maxDurations {
		d.newest = append(d.newest, measured)
	} else {
		d.newest[d.Count%maxDurations] = measured
	}
	d.Count++
}

// AddAll takes the kept measurements of another.
func (d *Durations) AddAll(other *Durations) {
	for _, measured := range other.newest {
		d.Add(measured)
	}
}

// Percentile is the smallest of the kept measurements that at least the share p,
// from 0 to 1, of them does not exceed; 0 without measurements.
func (d *Durations) Percentile(p float64) time.Duration {
	if len(d.newest) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d.newest))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// String gives p50 and p99 in milliseconds.
func (d *Durations) String() string {
	if d.Count == 0 {
		return "-"
	}
	return milliseconds(d.Percentile(0.50)) + " / " + milliseconds(d.Percentile(0.99))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
