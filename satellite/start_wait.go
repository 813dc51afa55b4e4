package satellite

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// startReportInterval is how often a main board whose start waits for its satellite says so.
const startReportInterval = time.Minute

// startWait follows how long this board's start has been waiting for its satellite. A station whose EVerest does not
// start charges nobody, so that must not go unseen.
type startWait struct {
	// began is when the wait began, in nanoseconds; 0 while nothing waits.
	began atomic.Int64
}

// during calls start, and report once every interval until start returns.
func (w *startWait) during(start func() error, interval time.Duration, report func(waited time.Duration)) error {
	w.began.Store(time.Now().UnixNano())
	defer w.began.Store(0)
	ended := make(chan struct{})
	var reporting sync.WaitGroup
	defer reporting.Wait()
	defer close(ended)
	reporting.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				report(w.waited())
			case <-ended:
				return
			}
		}
	})
	return start()
}

// waited returns how long the start has been waiting, 0 where it does not wait.
func (w *startWait) waited() time.Duration {
	began := w.began.Load()
	if began == 0 {
		return 0
	}
	return time.Since(time.Unix(0, began)).Round(time.Second)
}

// problem returns the wait in words for the status, empty where the start does not wait.
func (w *startWait) problem() string {
	waited := w.waited()
	if waited < startReportInterval {
		return ""
	}
	return fmt.Sprintf(" This board's EVerest has waited for it for %v.", waited)
}

// awaitSatellite holds the module's init until the agent has agreed, or the port is isolated.
func (c *Controller) awaitSatellite(ctx context.Context) error {
	start := func() error { return c.link.Load().Start(ctx) }
	return c.start.during(start, startReportInterval, func(waited time.Duration) {
		reason := ""
		if refusal := c.refusal.Load(); refusal != nil {
			reason = refusal.cause
		}
		c.log.Warn("this board's EVerest waits for the satellite",
			zap.String("satellite", c.target.String()), zap.Duration("waited", waited), zap.String("reason", reason))
	})
}
