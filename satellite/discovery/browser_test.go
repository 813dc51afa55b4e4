package discovery

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
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

// A stranger may change what is kept with every packet. That is looked at now and then, not for each packet.
func TestAFloodIsLookedAtNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: make(chan packet), log: zap.NewNop(), interfaces: map[string]*networkInterface{
			"eth0": {prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}},
		}}
		c, updates := newCache(serial, true), 0
		ctx, cancel := context.WithCancel(t.Context())
		var browsing sync.WaitGroup
		browsing.Go(func() {
			if err := browse(ctx, n, c, nil, func(time.Time) { updates++ }); err != nil {
				t.Error(err)
			}
		})
		const packets = 2000
		for i := range packets {
			board := newAnnouncer(t, serial, "eth0", "10.0.0.66")
			data, err := packResponse(0, nil, board.records(board.addresses, timeToLive, true))
			if err != nil {
				t.Fatal(err)
			}
			n.packets <- packet{"eth0", netip.MustParseAddrPort("10.0.0.66:5353"), data}
			if i == packets-1 {
				break
			}
			time.Sleep(time.Second / packets)
		}
		time.Sleep(time.Second)
		cancel()
		browsing.Wait()
		if updates > int(2*time.Second/minUpdate) {
			t.Errorf("%d updates for %d packets in a second", updates, packets)
		}
		if found := c.locate(time.Now(), serial); len(found.Boards) == 0 {
			t.Error("nothing is found")
		}
	})
}
