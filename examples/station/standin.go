package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
	"github.com/remotechargeport/remotechargeport/handshake"
)

// newLogger writes one line per entry, none dropped.
func newLogger(to io.Writer, level string) (*zap.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.TimeKey = zapcore.OmitKey
	encoding.CallerKey = zapcore.OmitKey
	encoding.StacktraceKey = zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), parsed)), nil
}

// stateWorking is the state of a link as it should be.
var stateWorking = handshake.Working.String()

// linkWasAway reports whether the link was away at the second of two statuses, or
// between them.
func linkWasAway(before, now Status) bool {
	return now.State == handshake.Resuming.String() || now.Resumes > before.Resumes
}

// withStatus runs a module of the link and reports its status whenever that has
// changed. It says so, where that is not nil, when the link first works.
func withStatus(ctx context.Context, report *Reporter, satellite int, name string, run func(context.Context) error, status func() Status, working func()) error {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		var last Status
		for more := true; more; {
			// The last look is at what the module leaves.
			more = recording.Sleep(watching, statusInterval) == nil
			if now := status(); now != last {
				report.Report(Report{Kind: KindStatus, Satellite: satellite, Name: name, Status: &now})
				last = now
				if now.State == stateWorking && working != nil {
					working()
					working = nil
				}
			}
		}
	})
	return run(ctx)
}
