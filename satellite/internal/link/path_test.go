package link

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/rpc"
)

// A path swallows long messages for ten minutes, and the agent greets on each connection. The port is out of service
// after the window and stays so, connections come ever less often, and the agent keeps its journal. Once the path
// carries all again, everything arrives once, in order.
func TestAPathThatOnlyGreets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{})
		b.longest.Store(1000)
		var want []string
		for i := range 3 {
			value := `"` + strings.Repeat(string(rune('a'+i)), 4000) + `"`
			b.record("session_event", value)
			want = append(want, "session_event "+value)
		}
		began := time.Now()
		time.Sleep(30 * time.Second)
		if facts := b.take(&b.facts); slices.Contains(facts, "isolated: heartbeat timeout") {
			t.Errorf("within the window: %v", facts)
		}
		time.Sleep(10*time.Minute - 30*time.Second)
		if facts := b.take(&b.facts); !slices.Equal(facts, []string{"isolated: heartbeat timeout"}) {
			t.Errorf("without progress: %v, want the port out of service, once", facts)
		}
		if suspected := b.take(&b.suspected); len(suspected) != len(segmentSizes) || b.client.Segment() != segmentSizes[1] {
			t.Errorf("suspected %d times, segments of %d bytes", len(suspected), b.client.Segment())
		}
		b.mu.Lock()
		dials := b.dials
		b.mu.Unlock()
		dials = slices.DeleteFunc(dials, func(at time.Time) bool { return at.Before(began) })
		if last := dials[len(dials)-1].Sub(dials[len(dials)-2]); len(dials) > 80 || last < 8*time.Second {
			t.Errorf("%d connections in ten minutes, the last %v after the one before", len(dials), last)
		}
		if pause := func(i int) time.Duration { return dials[i+1].Sub(dials[i]) }; pause(4) == pause(5) && pause(5) == pause(6) || pause(7) == pause(8) && pause(8) == pause(9) {
			t.Error("the pauses have no random part")
		}
		b.longest.Store(0)
		time.Sleep(time.Minute)
		if arrived := b.take(&b.arrived); !slices.Equal(arrived, want) {
			t.Errorf("%d events arrived, want %d, in order", len(arrived), len(want))
		}
		if facts := b.take(&b.facts); !slices.Equal(facts, []string{"established, resumed true"}) || b.resets.Load() > 0 {
			t.Errorf("facts %v, %d resets", facts, b.resets.Load())
		}
	})
}

// A ping carries bytes both ways, up to a bound that the agent holds, too.
func TestAPingWithASize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{})
		b.bytesPerSecond.Store(100_000)
		for _, size := range []int{1, 1400, 50_000} {
			took, _, function, err := b.client.Ping(t.Context(), size)
			if want := time.Duration(size) * 10 * time.Microsecond; err != nil || function != FunctionEcho || took < want || took > want+10*time.Millisecond {
				t.Errorf("%d bytes: %v by %s, %v, want %v", size, took, function, err, want)
			}
		}
		if _, _, function, err := b.client.Ping(t.Context(), 0); err != nil || function != FunctionPing {
			t.Errorf("without a size: %s, %v", function, err)
		}
		if _, _, _, err := b.client.Ping(t.Context(), MaxEcho+1); err == nil || !strings.Contains(err.Error(), "bytes at most") {
			t.Errorf("too many bytes: %v", err)
		}
	})
}

// An agent of an older release does not have the function.
func TestAPingWithASizeNeedsItsFunction(t *testing.T) {
	agent := startFakeAgent(t, nil)
	client, _, _ := startClient(t, agent, func(*ClientConfig) {})
	agreed(t, client)
	if _, _, _, err := client.Ping(t.Context(), 10); !errors.Is(err, rpc.ErrMethodNotFound) {
		t.Errorf("the error is %v", err)
	}
}

// After two connections that greeted and then stalled, answers are as small as can be.
func TestAStalledLinkAsksForLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startBoards(t, handshake.IsolateOnLoss, Limits{})
		b.longest.Store(minAnswer + 2000)
		for range 100 {
			b.record("session_event", `"`+strings.Repeat("x", 2000)+`"`)
		}
		time.Sleep(8 * time.Second)
		if arrived := b.take(&b.arrived); len(arrived) != 100 {
			t.Errorf("%d of 100 events arrived", len(arrived))
		}
		if facts := b.take(&b.facts); slices.ContainsFunc(facts, func(fact string) bool { return fact != "established, resumed true" }) {
			t.Errorf("facts %v", facts)
		}
	})
}

// What a connection's life tells of the path.
func TestWhatAConnectionTellsOfThePath(t *testing.T) {
	const timeout = 1500 * time.Millisecond
	cut, stalled, long := 100*time.Millisecond, timeout, time.Hour
	for _, test := range []struct {
		lives []time.Duration
		want  int
	}{
		{[]time.Duration{cut, cut, cut, cut, cut}, 0},
		{[]time.Duration{stalled}, 0},
		{[]time.Duration{stalled, stalled}, 1200},
		{[]time.Duration{stalled, cut, stalled}, 1200},
		{[]time.Duration{stalled, long, stalled, long}, 0},
		{[]time.Duration{stalled, stalled, stalled}, 1200},
		{[]time.Duration{stalled, stalled, stalled, stalled}, 536},
		{[]time.Duration{stalled, stalled, stalled, stalled, stalled, stalled, stalled}, 536},
		{[]time.Duration{stalled, stalled, long}, 1200},
	} {
		var p path
		for _, life := range test.lives {
			p.ended(life, timeout)
		}
		if got := p.segment(); got != test.want {
			t.Errorf("after %v segments of %d bytes, want %d", test.lives, got, test.want)
		}
	}
}
