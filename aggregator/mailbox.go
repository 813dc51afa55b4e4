package aggregator

import (
	"context"
	"sync"
)

// mailbox is work that one goroutine does in the order in which it came. Putting something in never waits.
type mailbox struct {
	mu      sync.Mutex
	waiting []func()
	filled  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{filled: make(chan struct{}, 1)} }

// post has fn done after everything that was posted before.
func (b *mailbox) post(fn func()) {
	b.mu.Lock()
	b.waiting = append(b.waiting, fn)
	b.mu.Unlock()
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// run does the work until the context ends. What waits then is not done.
func (b *mailbox) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.filled:
		}
		for ctx.Err() == nil {
			b.mu.Lock()
			work := b.waiting
			b.waiting = nil
			b.mu.Unlock()
			if len(work) == 0 {
				break
			}
			for _, fn := range work {
				if ctx.Err() != nil {
					return
				}
				fn()
			}
		}
	}
}
