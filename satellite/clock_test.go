package satellite

import (
	"testing"
	"time"
)

// The clock of a satellite is set where it is off by more than is tolerated, and never to a time that nobody has set.
func TestAClockIsOff(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		own       time.Time
		ahead     time.Duration
		within    time.Duration
		tolerance int
		off       bool
	}{
		"ahead":                     {now, 2001 * time.Millisecond, 0, 2, true},
		"behind":                    {now, -2001 * time.Millisecond, 0, 2, true},
		"within the tolerance":      {now, 2 * time.Second, 0, 2, false},
		"within a longer tolerance": {now, time.Hour, 0, 3600, false},
		"measured over a slow link": {now, 3 * time.Second, 1500 * time.Millisecond, 2, false},
		"never":                     {now, 1000 * time.Hour, 0, 0, false},
		"this board starts in 1970": {time.Unix(50, 0), 56 * 365 * 24 * time.Hour, 0, 2, false},
		"this board starts in 2023": {time.Date(2023, 12, 31, 23, 59, 59, 0, time.UTC), time.Hour, 0, 2, false},
		"the satellite in 1970":     {now, -56 * 365 * 24 * time.Hour, 0, 2, true},
		"as far as times go":        {now, -1 << 63, 0, 2, true},
	} {
		tolerance := controllerParameters{ClockTolerance: &test.tolerance}.clockTolerance()
		if off := isClockOff(test.own, test.ahead, test.within, tolerance); off != test.off {
			t.Errorf("%s: off %v", name, off)
		}
	}
	if tolerance := (controllerParameters{}).clockTolerance(); tolerance != 2*time.Second {
		t.Errorf("the tolerance of an older configuration is %v", tolerance)
	}
}
