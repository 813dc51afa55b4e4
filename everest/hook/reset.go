package hook

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Cause is who wants a board to be reset.
type Cause string

// The causes.
const (
	// ByMainBoard is the command reset of the interface system, which came over the link to an agent. Behind it is OCPP,
	// SystemAggregator or another module of the main board.
	ByMainBoard Cause = "main board"
	// ByLinkLoss is the loss of the other board, or its restart: an agent wants to reset its board, and a controller to
	// restart the main board's EVerest.
	ByLinkLoss Cause = "link loss"
	// ByStation is the command reset of the interface system that SystemAggregator provides: it wants to reset the station.
	ByStation Cause = "station"
	// ByOperator is a request at SystemAggregator's status socket to reset one board.
	ByOperator Cause = "operator"
)

// Reset is a request to reset a board.
type Reset struct {
	Cause Cause
	// Text is the reason of a link's loss, in words.
	Text string
	// Type is "Soft" or "Hard", and empty for ByLinkLoss.
	Type string
	// Board is the board's name in SystemAggregator. It is empty for the whole station, and in the other modules.
	Board string
	// Question means that a backend only asks whether a reset is allowed, with is_reset_allowed. Refuse says no, and
	// every other Verdict yes. The hook must not do anything then.
	Question bool
	// Postponed is how often the request was postponed, and Since when it came.
	Postponed int
	Since     time.Time
}

// Verdict is the decision about a request: the result of Proceed, Postpone, Refuse or Taken. The zero Verdict is Proceed.
type Verdict struct {
	kind  verdict
	after time.Duration
	text  string
}

type verdict uint8

const (
	proceed verdict = iota
	postpone
	refuse
	taken
)

// Proceed lets the module reset the board as it does without a fork.
func Proceed() Verdict { return Verdict{} }

// Postpone has the hook asked again after a time, at least 1 s and at most 24 h. Meanwhile the board works on. The
// caller of a command gets its reply at once. A request that has lost its reason meanwhile is forgotten, as when the link
// is back. A newer request replaces a postponed one. The reason is logged.
func Postpone(after time.Duration, reason string) Verdict {
	return Verdict{kind: postpone, after: min(max(after, minPostpone), maxPostpone), text: reason}
}

// Refuse leaves the board as it is. A caller gets the negative reply of its command, if it has one; the reply to reset
// itself has no content. After a loss the hook is asked again every minute as long as the other board is lost: without a
// restart the two boards may not find each other again. The reason is logged.
func Refuse(reason string) Verdict {
	return Verdict{kind: refuse, after: askAgain, text: reason}
}

// Taken means that the fork resets the board itself. The module expects to be ended: an agent closes its link. A board
// that is not reset within a minute is restarted by the end of the module.
func Taken() Verdict { return Verdict{kind: taken} }

const (
	minPostpone = time.Second
	maxPostpone = 24 * time.Hour
	// askAgain is the time after which a refused reset is asked for again while its reason lasts.
	askAgain = time.Minute
)

// IsProceed, IsPostpone, IsRefuse and IsTaken report which decision it is.
func (v Verdict) IsProceed() bool { return v.kind == proceed }

// IsPostpone reports whether the decision is Postpone.
func (v Verdict) IsPostpone() bool { return v.kind == postpone }

// IsRefuse reports whether the decision is Refuse.
func (v Verdict) IsRefuse() bool { return v.kind == refuse }

// IsTaken reports whether the decision is Taken.
func (v Verdict) IsTaken() bool { return v.kind == taken }

// After returns the time after which the hook is to be asked again, 0 for Proceed and Taken.
func (v Verdict) After() time.Duration { return v.after }

// Reason returns the reason of Postpone or Refuse.
func (v Verdict) Reason() string { return v.text }

// word is the state of a Change.
func (v Verdict) word() string {
	return [...]string{"begun", "postponed", "refused", "taken"}[v.kind]
}

// DecidesResets reports whether the fork has a reset policy.
func (r *Runner) DecidesResets() bool { return r != nil && r.hooks.Reset != nil }

// Decide asks the hook once, and returns Proceed where there is none or it gives no result. It blocks up to Limit.
func (r *Runner) Decide(ctx context.Context, request Reset) Verdict {
	if request.Since.IsZero() {
		request.Since = time.Now()
	}
	if !request.Question && request.Postponed == 0 {
		r.Tell(Change{Kind: Resets, State: "asked", Text: describe(request), Board: request.Board})
	}
	var decided Verdict
	if r.DecidesResets() {
		given := make(chan Verdict, 1)
		err := r.guard.call(ctx, "Reset", r.limit, func(ctx context.Context) error {
			given <- r.hooks.Reset(ctx, request)
			return nil
		})
		if err == nil {
			decided = <-given
		}
	}
	if request.Question {
		return decided
	}
	if decided.kind == postpone || decided.kind == refuse || decided.kind == taken {
		r.log.Info("the reset policy of this fork has decided", zap.String("cause", string(request.Cause)), zap.String("board", request.Board),
			zap.String("decision", decided.word()), zap.String("reason", decided.text), zap.Duration("next_attempt_in", decided.after))
	}
	r.Tell(Change{Kind: Resets, State: decided.word(), Before: "asked", Text: decided.text, Board: request.Board})
	return decided
}

func describe(request Reset) string {
	if request.Text == "" {
		return string(request.Cause)
	}
	return fmt.Sprintf("%s: %s", request.Cause, request.Text)
}

// Request asks the hook once, as Decide does. After Postpone it asks again in the background until the hook decides
// otherwise, and then calls later with that decision. A newer Request ends the asking of an older one.
func (r *Runner) Request(ctx context.Context, request Reset, later func(context.Context, Verdict)) Verdict {
	request.Since = time.Now()
	waiting := r.replaceWaiting()
	decided := r.Decide(ctx, request)
	if !decided.IsPostpone() {
		return decided
	}
	r.guard.run(func() {
		for verdict := decided; ; {
			if !pause(waiting, verdict.after) {
				return
			}
			request.Postponed++
			verdict = r.Decide(waiting, request)
			switch {
			case waiting.Err() != nil:
				return
			case !verdict.IsPostpone():
				later(waiting, verdict)
				return
			}
		}
	})
	return decided
}

// Await asks the hook until it decides Proceed or Taken, also after Refuse, or until ctx ends. It calls held once, before
// it waits for the first time. It is for a module that cannot work on.
func (r *Runner) Await(ctx context.Context, request Reset, held func()) Verdict {
	request.Since = time.Now()
	for {
		verdict := r.Decide(ctx, request)
		if verdict.IsProceed() || verdict.IsTaken() || ctx.Err() != nil {
			return verdict
		}
		if request.Postponed == 0 {
			held()
		}
		request.Postponed++
		if !pause(ctx, verdict.after) {
			return verdict
		}
	}
}

// replaceWaiting ends the asking of an older request, and returns the context of a new one.
func (r *Runner) replaceWaiting() context.Context {
	ctx, cancel := context.WithCancel(r.guard.ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.endWaiting != nil {
		r.endWaiting()
	}
	r.endWaiting = cancel
	return ctx
}

// pause waits, and reports whether the time has passed before ctx ended.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
