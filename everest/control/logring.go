package control

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LogRing keeps a module's newest log lines in memory, for GET /logs. Its methods may be called from any goroutine.
type LogRing struct {
	off   atomic.Bool
	lock  sync.Mutex
	lines []string
	// lines[:first] are gone; their place is reclaimed now and then.
	first int
	bytes int
	most  int
}

// LogBytes is how much a module of this repository keeps.
const LogBytes = 256 << 10

// NewLogRing makes a ring of at most so many bytes.
func NewLogRing(bytes int) *LogRing { return &LogRing{most: bytes} }

// Tee returns a logger that writes into the ring whatever it writes to the given one, at the same level. Fields that the
// given logger has already are not in the ring.
func (r *LogRing) Tee(logger *zap.Logger) *zap.Logger {
	configuration := zap.NewDevelopmentEncoderConfig()
	configuration.CallerKey, configuration.StacktraceKey = "", ""
	encoder := zapcore.NewConsoleEncoder(configuration)
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		enabled := zap.LevelEnablerFunc(func(level zapcore.Level) bool { return !r.off.Load() && core.Enabled(level) })
		return zapcore.NewTee(core, zapcore.NewCore(encoder, zapcore.AddSync(r), enabled))
	}))
}

// Write keeps one line.
func (r *LogRing) Write(line []byte) (int, error) {
	if r.off.Load() {
		return len(line), nil
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.lines = append(r.lines, string(line[:min(len(line), r.most)]))
	r.bytes += len(r.lines[len(r.lines)-1])
	for r.bytes > r.most {
		r.bytes -= len(r.lines[r.first])
		r.lines[r.first] = ""
		r.first++
	}
	if r.first > 64 && r.first > len(r.lines)/2 {
		kept := copy(r.lines, r.lines[r.first:])
		clear(r.lines[kept:])
		r.lines, r.first = r.lines[:kept], 0
	}
	return len(line), nil
}

// Stop forgets all lines and keeps none any more: a module without a control socket has no use for them.
func (r *LogRing) Stop() {
	r.off.Store(true)
	r.lock.Lock()
	defer r.lock.Unlock()
	r.lines, r.first, r.bytes = nil, 0, 0
}

// Text is what is kept, oldest first.
func (r *LogRing) Text() string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return strings.Join(r.lines[r.first:], "")
}

// Logs is a Config's function that delivers the lines as a text file of that name.
func (r *LogRing) Logs(name string) func(context.Context) (*Logs, error) {
	return func(context.Context) (*Logs, error) {
		text := r.Text()
		return &Logs{
			Name: name, ContentType: "text/plain; charset=utf-8", Size: int64(len(text)),
			Body: io.NopCloser(strings.NewReader(text)),
		}, nil
	}
}
