package ledger

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var hundred Durations
	for i := 100; i > 0; i-- {
		hundred.Add(time.Duration(i))
	}
	var one, none Durations
	one.Add(7)
	for _, test := range []struct {
		of   *Durations
		p    float64
		want time.Duration
	}{
		{&hundred, 0.5, 50}, {&hundred, 0.99, 99}, {&hundred, 1, 100}, {&hundred, 0, 1},
		{&one, 0.5, 7}, {&one, 0.99, 7}, {&none, 0.5, 0},
	} {
		if got := test.of.Percentile(test.p); got != test.want {
			t.Errorf("p%v of %d measurements is %d, want %d", test.p*100, test.of.Count, got, test.want)
		}
	}
	if none.String() != "-" {
		t.Errorf("no measurements are shown as %s", none.String())
	}
}

func TestDurationsKeepTheNewest(t *testing.T) {
	var all Durations
	for range maxDurations {
		all.Add(time.Second)
	}
	for range maxDurations {
		all.Add(time.Minute)
	}
	if all.Count != 2*maxDurations || all.Percentile(0) != time.Minute {
		t.Errorf("%d measurements, the smallest kept is %v", all.Count, all.Percentile(0))
	}
	var sum Durations
	sum.AddAll(&all)
	if sum.Percentile(0.5) != time.Minute || len(sum.newest) != maxDurations {
		t.Errorf("added up: p50 %v of %d", sum.Percentile(0.5), len(sum.newest))
	}
}
