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

// LogRing keeps a module's newest log lines in memory, for GET /logs. Its methods may be called from several
// goroutines.
type LogRing struct {
	off   atomic.Bool
	mu    sync.Mutex
	lines []string
	// lines[:first] are removed; their memory is reclaimed from time to time.
	first    int
	bytes    int
	maxBytes int
}

// NewLogRing returns a ring that keeps 256 KiB.
func NewLogRing() *LogRing { return &LogRing{maxBytes: 256 << 10} }

// Tee returns a logger that writes to logger and to the ring, at the level of logger. Fields that logger already has
// are missing from the lines in the ring.
func (r *LogRing) Tee(logger *zap.Logger) *zap.Logger {
	configuration := zap.NewDevelopmentEncoderConfig()
	configuration.CallerKey, configuration.StacktraceKey = "", ""
	encoder := zapcore.NewConsoleEncoder(configuration)
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		enabled := zap.LevelEnablerFunc(func(level zapcore.Level) bool { return !r.off.Load() && core.Enabled(level) })
		return zapcore.NewTee(core, zapcore.NewCore(encoder, zapcore.AddSync(ringWriter{r}), enabled))
	}))
}

type ringWriter struct{ *LogRing }

// Write keeps one line.
func (r ringWriter) Write(line []byte) (int, error) {
	if r.off.Load() {
		return len(line), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(line[:min(len(line), r.maxBytes)]))
	r.bytes += len(r.lines[len(r.lines)-1])
	for r.bytes > r.maxBytes {
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

// Stop removes all lines and ignores later ones, for a module without a status socket.
func (r *LogRing) Stop() {
	r.off.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.first, r.bytes = nil, 0, 0
}

// text returns the kept lines, oldest first.
func (r *LogRing) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines[r.first:], "")
}

// Logs returns a function for Config.Logs. The function returns the ring's lines as a text file with this name.
func (r *LogRing) Logs(name string) func(context.Context) (*Logs, error) {
	return func(context.Context) (*Logs, error) {
		text := r.text()
		return &Logs{
			Name: name, ContentType: "text/plain; charset=utf-8", Size: int64(len(text)),
			Body: io.NopCloser(strings.NewReader(text)),
		}, nil
	}
}
