package aggregator

import (
	"context"
	"sync"
)

// queue is work for one goroutine, in the order in which it was posted. Posting never blocks.
type queue struct {
	mu      sync.Mutex
	waiting []func(context.Context)
	filled  chan struct{}
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

// post has the queue's goroutine call fn, with the context of run, after everything that was posted before.
func (q *queue) post(fn func(context.Context)) {
	q.mu.Lock()
	q.waiting = append(q.waiting, fn)
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// run does the work until the context ends. Work that waits then is left to drain.
func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.filled:
		}
		work := q.take()
		for i, fn := range work {
			if ctx.Err() != nil {
				q.mu.Lock()
				q.waiting = append(work[i:], q.waiting...)
				q.mu.Unlock()
				return
			}
			fn(ctx)
		}
	}
}

func (q *queue) take() []func(context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	work := q.waiting
	q.waiting = nil
	return work
}

// drain does the work that waits after the end of run, with a context that has ended.
func (q *queue) drain(ctx context.Context) {
	for _, fn := range q.take() {
		fn(ctx)
	}
}
