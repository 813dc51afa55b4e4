package control

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLogRingKeepsNewestLines(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	ring := &LogRing{maxBytes: 10_000}
	log := ring.Tee(zap.New(core)).Named("agent")
	log.Debug("below the level")
	const lines = 500
	for i := range lines {
		log.Info("link", zap.Int("number", i), zap.String("satellite", "10.0.0.2"))
	}
	text := ring.text()
	kept := strings.Split(strings.TrimSpace(text), "\n")
	if len(text) > 10_000 || len(text) < 9_000 || len(kept) < 50 {
		t.Errorf("%d bytes in %d lines", len(text), len(kept))
	}
	if last := kept[len(kept)-1]; !strings.Contains(last, `"number": 499`) || !strings.Contains(last, "INFO\tagent\tlink") {
		t.Errorf("the last line is %q", last)
	}
	if seen.Len() != lines || strings.Contains(text, "below") {
		t.Errorf("%d lines went to the logger", seen.Len())
	}
	logs, err := ring.Logs("agent.log")(context.Background())
	if err != nil || logs.Name != "agent.log" || logs.Size != int64(len(text)) {
		t.Errorf("logs %+v, %v", logs, err)
	}
	if body, _ := io.ReadAll(logs.Body); string(body) != text {
		t.Error("the body is not the text")
	}
	ring.Stop()
	log.Info("after the end")
	if ring.text() != "" || seen.Len() != lines+1 {
		t.Errorf("after Stop the ring holds %q", ring.text())
	}
}

func TestLogRingCutsLongLine(t *testing.T) {
	ring := &LogRing{maxBytes: 100}
	if n, err := (ringWriter{ring}).Write([]byte(strings.Repeat("x", 1000))); n != 1000 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if len(ring.text()) != 100 {
		t.Errorf("%d bytes are kept", len(ring.text()))
	}
}

func TestRoundTrips(t *testing.T) {
	var trips RoundTrips
	if trips.Latency() != nil {
		t.Error("a latency without round trips")
	}
	for i := 1; i <= 2*roundTripsLen; i++ {
		trips.Add(time.Duration(i) * time.Millisecond)
	}
	if got, want := *trips.Latency(), (Latency{Last: 0.512, Median: 0.384, P99: 0.510, Samples: 256}); got != want {
		t.Errorf("latency %+v, want %+v", got, want)
	}
	trips.Clear()
	trips.Add(-time.Second) // a clock that went back
	trips.Add(time.Second)
	if got, want := *trips.Latency(), (Latency{Last: 1, Median: 0, P99: 1, Samples: 2}); got != want {
		t.Errorf("latency %+v, want %+v", got, want)
	}
}

func TestRoundTripsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trips RoundTrips
		trips.Add(time.Second)
		got := make(chan time.Duration)
		for range 2 {
			go func() {
				took, err := trips.Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- took
			}()
		}
		synctest.Wait()
		trips.Clear()
		trips.Add(3 * time.Second)
		trips.Add(time.Second) // is not the next any more
		for range 2 {
			if took := <-got; took != 3*time.Second {
				t.Errorf("the next took %v", took)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := trips.Next(ctx); err == nil {
			t.Error("Next returns without a round trip")
		}
	})
}
