package everest

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// dropLog reports dropped messages, at most a burst and then one every second: a peer that sends nonsense must not fill the disk.
type dropLog struct {
	log *zap.Logger

	mu         sync.Mutex
	dropped    uint64
	suppressed uint64
	tokens     float64
	last       time.Time
}

const dropBurst = 10

func (d *dropLog) drop(topic string, reason error) {
	now := time.Now()
	d.mu.Lock()
	d.dropped++
	if d.last.IsZero() {
		d.tokens = dropBurst
	} else {
		d.tokens = min(dropBurst, d.tokens+now.Sub(d.last).Seconds())
	}
	d.last = now
	if d.tokens < 1 {
		d.suppressed++
		d.mu.Unlock()
		return
	}
	d.tokens--
	suppressed := d.suppressed
	d.suppressed = 0
	d.mu.Unlock()
	d.log.Warn("dropped an unreadable message", zap.String("topic", topic), zap.Error(reason), zap.Uint64("unreported_before", suppressed))
}

func (d *dropLog) count() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropped
}
