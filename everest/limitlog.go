package everest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A line that repeats itself is logged so often at once, and then as often as the interval allows.
const (
	repeatBurst    = 10
	repeatInterval = 10 * time.Second
)

// LimitRepeats returns a logger that lets nobody fill the disk: of the lines with one text, of one logger's name and level, the
// first ten get through at once and from then on one every 10 s, which says in the field `repeats` how many like it were
// left out before it. Debug lines are not limited, for who asks for them wants them all. The fields of a line do not count:
// what is alike but for an address or a command is limited together.
//
// Loggers that are derived from the result share its account. The modules of this repository limit their loggers themselves;
// limiting one twice does no more than once.
func LimitRepeats(logger *zap.Logger) *zap.Logger {
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		if limited, ok := core.(*limitedCore); ok {
			return limited
		}
		return &limitedCore{Core: core, account: &repeatAccount{lines: map[lineKey]*repeatedLine{}}}
	}))
}

type limitedCore struct {
	zapcore.Core
	account *repeatAccount
}

func (c *limitedCore) With(fields []zapcore.Field) zapcore.Core {
	return &limitedCore{c.Core.With(fields), c.account}
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
	left, pass := c.account.admit(entry)
	if !pass {
		return nil
	}
	if left > 0 {
		fields = append(slices.Clip(fields), zap.Uint64("repeats", left))
	}
	// What is below may have levels of its own, as a tee of two outputs has.
	if checked := c.Core.Check(entry, nil); checked != nil {
		checked.Write(fields...)
	}
	return nil
}

// repeatAccount counts lines. Their texts are constants of programs, so their number is bounded.
type repeatAccount struct {
	mu    sync.Mutex
	lines map[lineKey]*repeatedLine
}

type lineKey struct {
	logger, text string
	level        zapcore.Level
}

type repeatedLine struct {
	tokens float64
	last   time.Time
	left   uint64
}

// admit says whether a line gets through, and how many like it did not before it.
func (a *repeatAccount) admit(entry zapcore.Entry) (left uint64, pass bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := lineKey{entry.LoggerName, entry.Message, entry.Level}
	line := a.lines[key]
	if line == nil {
		line = &repeatedLine{tokens: repeatBurst, last: entry.Time}
		a.lines[key] = line
	}
	passed := max(0, entry.Time.Sub(line.last))
	line.tokens, line.last = min(repeatBurst, line.tokens+passed.Seconds()/repeatInterval.Seconds()), entry.Time
	if line.tokens < 1 {
		line.left++
		return 0, false
	}
	line.tokens--
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
