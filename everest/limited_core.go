package everest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// A repeated log line passes repeatBurst times, then once every repeatInterval.
const (
	repeatBurst    = 10
	repeatInterval = 10 * time.Second
	// maxField is how many bytes of a field's text are logged. The rest is cut off.
	maxField = 2 << 10
)

// LimitRepeats returns a logger that drops most repeated lines, so that they do not fill a disk. Lines are repeats when
// their text, level and logger name are equal; fields do not matter. The first ten repeats pass, then one every 10 s.
// The field `repeats` of such a line counts the lines dropped before it. Debug lines are not limited.
//
// Fields often hold what a peer has said. Their texts and errors are cut at 2 KiB, and characters that control a
// terminal, or turn the direction of a text, are written as in JSON.
//
// Loggers derived from the result share its limits. The modules of this repository limit their loggers themselves.
// Limiting a logger twice has no further effect.
func LimitRepeats(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		if limited, ok := core.(*limitedCore); ok {
			return limited
		}
		return &limitedCore{core, &repeatLimits{lines: map[lineKey]*repeatedLine{}}}
	}))
}

type limitedCore struct {
	zapcore.Core
	limits *repeatLimits
}

func (c *limitedCore) With(fields []zapcore.Field) zapcore.Core {
	return &limitedCore{c.Core.With(harmless(fields)), c.limits}
}

func (c *limitedCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *limitedCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if entry.Level > zapcore.DebugLevel && entry.Level <= zapcore.ErrorLevel {
		left, pass := c.limits.admit(entry)
		if !pass {
			return nil
		}
		if left > 0 {
			fields = append(slices.Clip(fields), zap.Uint64("repeats", left))
		}
	}
	fields = harmless(fields)
	// The wrapped core may have its own levels, for example a tee of two outputs.
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(fields...)
	}
	return nil
}

// harmless returns fields whose texts are short and control no terminal. It returns the fields themselves where all are
// so already.
func harmless(fields []zapcore.Field) []zapcore.Field {
	changed := false
	for i, field := range fields {
		text := field.String
		if err, isError := field.Interface.(error); isError && field.Type == zapcore.ErrorType {
			text = err.Error()
		}
		safe := harmlessText(text)
		if safe == text {
			continue
		}
		if !changed {
			fields, changed = slices.Clone(fields), true
		}
		fields[i] = zap.String(field.Key, safe)
	}
	return fields
}

// harmlessText leaves the control characters below 0x20 to the encoder, which escapes them.
func harmlessText(text string) string {
	if len(text) > maxField {
		text = strings.ToValidUTF8(text[:maxField], "") + "..."
	}
	controls := func(r rune) bool { return r >= 0x7f && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
	if !strings.ContainsFunc(text, controls) {
		return text
	}
	var safe strings.Builder
	for _, r := range text {
		if controls(r) {
			fmt.Fprintf(&safe, `\u%04x`, r)
		} else {
			safe.WriteRune(r)
		}
	}
	return safe.String()
}

// repeatLimits has one limiter for each distinct line. The texts are constants of the program, so their number is
// bounded.
type repeatLimits struct {
	mu    sync.Mutex
	lines map[lineKey]*repeatedLine
}

type lineKey struct {
	logger, text string
	level        zapcore.Level
}

type repeatedLine struct {
	limiter *rate.Limiter
	left    uint64
}

// admit reports whether a line passes, and how many repeats of it were dropped before.
func (r *repeatLimits) admit(entry zapcore.Entry) (left uint64, pass bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := lineKey{entry.LoggerName, entry.Message, entry.Level}
	line := r.lines[key]
	if line == nil {
		line = &repeatedLine{limiter: rate.NewLimiter(rate.Every(repeatInterval), repeatBurst)}
		r.lines[key] = line
	}
	if !line.limiter.AllowN(entry.Time, 1) {
		line.left++
		return 0, false
	}
	left, line.left = line.left, 0
	return left, true
}

// dropLog reports messages that are dropped, and counts them.
type dropLog struct {
	log     *zap.Logger
	dropped atomic.Uint64
}

func (d *dropLog) drop(topic string, reason error) {
	d.dropped.Add(1)
	d.log.Warn("dropped an unreadable message", zap.String("topic", topic), zap.Error(reason))
}

func (d *dropLog) count() uint64 { return d.dropped.Load() }
