package everest

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func texts(logs *observer.ObservedLogs) map[string]int {
	counts := map[string]int{}
	for _, entry := range logs.TakeAll() {
		counts[entry.LoggerName+" "+entry.Level.String()+" "+entry.Message]++
	}
	return counts
}

func TestRepeatsAreLimitedByLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		logger := LimitRepeats(zap.New(core))
		// Derived ones share the account, another limit adds none, and fields do not matter.
		derived := LimitRepeats(logger.Named("a").With(zap.Int("field", 1)))
		for i := range 50 {
			logger.Named("a").Warn("one", zap.Int("i", i))
			derived.Warn("one")
			derived.Error("one")
			logger.Warn("one")
			derived.Warn("other")
			logger.Debug("one")
		}
		want := map[string]int{"a warn one": repeatBurst, "a error one": repeatBurst, " warn one": repeatBurst, "a warn other": repeatBurst, " debug one": 50}
		if diff := cmp.Diff(want, texts(logs)); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		time.Sleep(repeatInterval)
		derived.Warn("one", zap.String("kept", "yes"))
		derived.Warn("one")
		last := logs.TakeAll()
		if len(last) != 1 {
			t.Fatalf("%d lines, want 1", len(last))
		}
		if diff := cmp.Diff(map[string]any{"field": int64(1), "kept": "yes", "repeats": uint64(90)}, last[0].ContextMap()); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
		time.Sleep(repeatInterval * repeatBurst)
		for range 50 {
			derived.Warn("one")
		}
		if got := logs.Len(); got != repeatBurst {
			t.Errorf("%d lines after a long rest, want %d", got, repeatBurst)
		}
	})
}

// What is below the limit keeps its own levels, and what ends a program does.
func TestLimitKeepsLevels(t *testing.T) {
	quiet, quietLogs := observer.New(zap.ErrorLevel)
	loud, loudLogs := observer.New(zap.InfoLevel)
	logger := LimitRepeats(zap.New(zapcore.NewTee(quiet, loud)))
	logger.Debug("d")
	logger.Info("i")
	logger.Error("e")
	if quietLogs.Len() != 1 || loudLogs.Len() != 2 {
		t.Errorf("%d and %d lines, want 1 and 2", quietLogs.Len(), loudLogs.Len())
	}
	if LimitRepeats(zap.NewNop()).Core().Enabled(zap.ErrorLevel) {
		t.Error("a logger of nothing became one of something")
	}
	defer func() {
		if recover() == nil {
			t.Error("a panic did not happen")
		}
	}()
	logger.Panic("p")
}

// What a peer says fills no disk and controls no terminal, in whatever line it stands.
func TestFieldsAreHarmless(t *testing.T) {
	core, lines := observer.New(zap.DebugLevel)
	foreign := "\u009b2J\x7f\u202e" + strings.Repeat("é", 1<<20)
	const safe = `\u009b2J\u007f\u202eé`
	logger := LimitRepeats(zap.New(core)).With(zap.String("with", foreign))
	short := errors.New("short")
	fields := []zap.Field{zap.String("text", foreign), zap.Error(errors.New(foreign)), zap.NamedError("short", short), zap.Int("number", 7)}
	logger.Debug("debug", fields...)
	logger.Warn("warn", fields...)
	if fields[0].String != foreign || fields[2].Interface != short {
		t.Error("the caller's fields were changed")
	}
	for _, line := range lines.All() {
		got := line.ContextMap()
		for _, key := range []string{"with", "text", "error"} {
			if text, _ := got[key].(string); len(text) > maxField+50 || !strings.HasPrefix(text, safe) || !strings.HasSuffix(text, "é...") {
				t.Errorf("%s of %s has %d bytes: %.100q", key, line.Message, len(text), text)
			}
		}
		if got["short"] != "short" || got["number"] != int64(7) {
			t.Errorf("harmless fields became %v", got)
		}
	}
	if lines.Len() != 2 {
		t.Errorf("%d lines", lines.Len())
	}
}
