package discovery

import (
	"slices"
	"testing"
	"time"
)

func TestQuerySchedule(t *testing.T) {
	var schedule querySchedule
	now, times := start, []time.Duration{}
	for now.Before(start.Add(2 * time.Minute)) {
		if schedule.take(now) {
			times = append(times, now.Sub(start).Round(time.Second))
		}
		now = now.Add(100 * time.Millisecond)
	}
	want := []time.Duration{0, 1, 3, 7, 15, 31, 61, 91}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(times, want) {
		t.Errorf("queried at %v, want %v", times, want)
	}
	// Restarted a thousand times a second, it queries once.
	queries := 0
	for end := now.Add(10 * time.Second); now.Before(end); now = now.Add(time.Millisecond) {
		schedule.restart(now)
		if schedule.take(now) {
			queries++
		}
	}
	if queries < 9 || queries > 11 {
		t.Errorf("queried %d times in 10 s", queries)
	}
}
