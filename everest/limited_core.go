package everest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// A repeated log line passes repeatBurst times, then once every repeatInterval.
const (
	repeatBurst    = 10
	repeatInterval = 10 * time.Second
)

// LimitRepeats returns a logger that drops most repeated lines, so that they do not fill a disk. Lines are repeats when
// their text, level and logger name are equal; fields do not matter. The first ten repeats pass, then one every 10 s.
// The field `repeats` of such a line counts the lines dropped before it. Debug lines are not limited.
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
	return &limitedCore{c.Core.With(fields), c.limits}
}

func (c *limitedCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	switch {
	case entry.Level <= zapcore.DebugLevel || entry.Level > zapcore.ErrorLevel:
		return c.Core.Check(entry, checked)
	case c.Enabled(entry.Level):
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *limitedCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	left, pass := c.limits.admit(entry)
	if !pass {
		return nil
	}
	if left > 0 {
		fields = append(slices.Clip(fields), zap.Uint64("repeats", left))
	}
	// The wrapped core may have its own levels, for example a tee of two outputs.
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(fields...)
	}
	return nil
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
