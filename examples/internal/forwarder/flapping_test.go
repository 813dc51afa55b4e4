package forwarder

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLink notes when an outage began and ended.
type fakeLink struct {
	began     time.Time
	connected bool
	heard     []string
}

func (l *fakeLink) note(what string) {
	l.heard = append(l.heard, fmt.Sprintf("%v %s", time.Since(l.began), what))
}
func (l *fakeLink) Begin(outage Outage) bool {
	l.note(outage.String())
	return l.connected
}
func (l *fakeLink) Heal() { l.note("healed") }

func TestLinksAreCutInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		connected, down := &fakeLink{began: time.Now(), connected: true}, &fakeLink{began: time.Now()}
		flapping := NewFlapping(6*time.Second, connected, down)
		flapping.Run(ctx)
		if want := []string{"3s closed", "5.4s healed", "9s reset", "10s healed"}; !slices.Equal(connected.heard, want) {
			t.Errorf("the first link heard %q, want %q", connected.heard, want)
		}
		if want := []string{"6s reset", "8.4s healed"}; !slices.Equal(down.heard, want) {
			t.Errorf("the second link heard %q, want %q", down.heard, want)
		}
		if got, want := flapping.String(), "2 times (1 closed, 1 reset, 0 silent) for 2.4s each"; got != want {
			t.Errorf("the links were cut %s, want %s", got, want)
		}
		if flapping.Cuts(0) != 2 || flapping.Cuts(1) != 0 {
			t.Errorf("%d and %d cuts, want 2 and 0", flapping.Cuts(0), flapping.Cuts(1))
		}
	})
}

func TestTimesOfFlapping(t *testing.T) {
	for _, test := range []struct{ interval, outage, timeout time.Duration }{
		{5 * time.Second, 2 * time.Second, 1500 * time.Millisecond},
		{time.Second, 400 * time.Millisecond, 300 * time.Millisecond},
		{100 * time.Millisecond, 40 * time.Millisecond, 200 * time.Millisecond},
		{time.Hour, 5 * time.Second, 1500 * time.Millisecond},
	} {
		f := NewFlapping(test.interval)
		if outage, timeout := f.Outage(), f.LinkTimeout(); outage != test.outage || timeout != test.timeout {
			t.Errorf("interval %v: outage %v, link timeout %v, want %v and %v", test.interval, outage, timeout, test.outage, test.timeout)
		}
	}
}
