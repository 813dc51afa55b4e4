package hook

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
)

// Runner calls the hooks of one module under the rules of the package. Its methods may be called from any goroutine. Only
// Decide, Request, Await, Register and Close block. Forks do not use it: the modules of this project do. Decide, Tell,
// DecidesResets and HearsChanges of a nil Runner are those of one without hooks.
type Runner struct {
	hooks Hooks
	log   *zap.Logger
	guard *guard
	limit time.Duration

	mu sync.Mutex
	// changes wait for Changed. telling: a goroutine calls it.
	changes []Change
	telling bool
	missed  int
	// endWaiting ends the asking for a postponed reset.
	endWaiting context.CancelFunc
}

// NewRunner returns the runner of a module's hooks. A nil logger discards the log.
func NewRunner(hooks Hooks, log *zap.Logger) *Runner {
	if log == nil {
		log = zap.NewNop()
	}
	log = log.Named("hooks")
	if hooks.CommandLimit <= 0 {
		hooks.CommandLimit = 30 * time.Second
	}
	if hooks.AliveInterval <= 0 {
		hooks.AliveInterval = 5 * time.Second
	}
	hooks.AliveInterval = max(hooks.AliveInterval, 10*time.Millisecond)
	return &Runner{hooks: hooks, log: log, guard: newGuard(log), limit: Limit}
}

// Watch has the module's watchdog call Alive.
func (r *Runner) Watch(options *everest.Options) {
	if r.hooks.Alive != nil {
		options.Alive, options.AliveInterval = r.alive, r.hooks.AliveInterval
	}
}

func (r *Runner) alive() { r.guard.try("Alive", r.limit, r.hooks.Alive) }

// HearsChanges reports whether the fork wants to know of changes.
func (r *Runner) HearsChanges() bool { return r != nil && r.hooks.Changed != nil }

// maxChanges is how many changes wait for Changed. Further ones are missed.
const maxChanges = 256

// Tell has Changed called, after all changes before. It does not wait.
func (r *Runner) Tell(change Change) {
	if !r.HearsChanges() {
		return
	}
	if change.At.IsZero() {
		change.At = time.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changes) >= maxChanges {
		r.missed++
		return
	}
	r.changes = append(r.changes, change)
	if r.telling {
		return
	}
	r.telling = r.guard.run(r.tellAll)
}

// tellAll calls Changed until no change waits.
func (r *Runner) tellAll() {
	for {
		r.mu.Lock()
		if len(r.changes) == 0 {
			r.telling = false
			r.mu.Unlock()
			return
		}
		change := r.changes[0]
		r.changes = r.changes[1:]
		change.Missed, r.missed = r.missed, 0
		r.mu.Unlock()
		err := r.guard.call(r.guard.ctx, "Changed", r.limit, func(context.Context) error {
			r.hooks.Changed(change)
			return nil
		})
		if err != nil {
			r.mu.Lock()
			r.missed += change.Missed + 1
			r.mu.Unlock()
		}
	}
}

// Stats returns the counts so far.
func (r *Runner) Stats() Stats { return r.guard.stats() }

// Close ends the contexts of all hooks, and waits up to 2 s for those that run. No hook is called after it.
func (r *Runner) Close() { r.guard.close() }
