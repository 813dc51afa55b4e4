package control

import (
	"context"
	"io"
	"strings"
	"testing"

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
