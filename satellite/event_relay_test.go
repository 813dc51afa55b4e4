package satellite

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// A satellite that publishes without end is slowed down, by number and by bytes. The backlog of an outage is not.
func TestASatellitePublishesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		relay := newEventRelay(&route.Table{}, nil, nil, nil, 0, zap.New(core))
		take := func(count int, event link.Event) time.Duration {
			began := time.Now()
			for range count {
				relay.event(t.Context(), event)
			}
			return time.Since(began)
		}
		slowed := func() int { return logs.FilterMessageSnippet("slowed down").Len() }
		short := link.Event{Kind: link.Unknown}
		if took := take(relayBurst, short); took > 0 || slowed() > 0 {
			t.Errorf("the backlog of an outage took %v, and %d lines say that it is slowed down", took, slowed())
		}
		if took := take(10*relayRate, short); took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("%d events more took %v, want 10 s", 10*relayRate, took)
		}
		if slowed() == 0 {
			t.Error("no line says that the satellite is slowed down")
		}
		long := link.Event{Kind: link.Unknown, Value: make([]byte, 9*relayUnit)}
		if took := take(relayRate, long); took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("%d long events took %v, want 10 s", relayRate, took)
		}
		time.Sleep(time.Minute)
		if took := take(relayBurst, short); took > 0 {
			t.Errorf("after a minute of silence a backlog took %v", took)
		}
		relay.budget = newEventRelay(&route.Table{}, nil, nil, nil, 2*relayRate, zap.NewNop()).budget
		take(relayBurst, short)
		if took := take(20*relayRate, short); took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("at twice the rate %d events took %v, want 10 s", 20*relayRate, took)
		}
		ctx, end := context.WithCancel(t.Context())
		end()
		began := time.Now()
		if relay.event(ctx, long); time.Since(began) > 0 {
			t.Errorf("after the end an event took %v", time.Since(began))
		}
	})
}
