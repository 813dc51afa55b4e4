package hook

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// faulty returns the runner of hooks, and what it logs as an error.
func faulty(t *testing.T, hooks Hooks) (*Runner, func() []observer.LoggedEntry) {
	t.Helper()
	core, logs := observer.New(zap.ErrorLevel)
	return NewRunner(hooks, zap.New(core)), logs.TakeAll
}

// expectLine checks that one line was logged, with the hook's name and the remedy.
func expectLine(t *testing.T, lines []observer.LoggedEntry, hook, remedy string) {
	t.Helper()
	if len(lines) != 1 || lines[0].ContextMap()["hook"] != hook || !strings.Contains(lines[0].Message, remedy) {
		t.Errorf("logged %v, want one line about %s with %q", lines, hook, remedy)
	}
}

func TestAPanicIsContainedAndLoggedOnce(t *testing.T) {
	for name, fault := range map[string]func(){"panic": func() { panic("poison") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			r, lines := faulty(t, Hooks{Reset: func(context.Context, Reset) Verdict {
				fault()
				return Refuse("never reached")
			}})
			defer r.Close()
			for range 5 {
				if verdict := r.Decide(t.Context(), Reset{Cause: ByLinkLoss}); !verdict.IsProceed() {
					t.Errorf("decided %+v, want Proceed", verdict)
				}
			}
			expectLine(t, lines(), "Reset", "correct the hook")
			if got, want := r.Stats(), (Stats{Panics: 5}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestAHangIsReportedAndCostsOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		calls := 0
		r, lines := faulty(t, Hooks{Reset: func(context.Context, Reset) Verdict {
			if calls++; calls == 1 || calls == 3 {
				<-release
			}
			return Refuse("it is my turn")
		}})
		defer r.Close()
		began := time.Now()
		if verdict := r.Decide(t.Context(), Reset{}); !verdict.IsProceed() || time.Since(began) != Limit {
			t.Errorf("decided %+v after %v, want Proceed after %v", verdict, time.Since(began), Limit)
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		began = time.Now()
		for range 1000 {
			if !r.Decide(t.Context(), Reset{}).IsProceed() {
				t.Fatal("not Proceed while the hook hangs")
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the calls of a hook that hangs took %v", took)
		}
		if grown := runtime.NumGoroutine() - before; grown > 0 {
			t.Errorf("%d more goroutines", grown)
		}
		expectLine(t, lines(), "Reset", "let it return at the end of its context")
		if got, want := r.Stats(), (Stats{Hangs: 1, Skipped: 1000}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		close(release)
		synctest.Wait()
		if !r.Decide(t.Context(), Reset{}).IsRefuse() {
			t.Error("a hook that has returned is not called again")
		}
		release = make(chan struct{})
		r.Decide(t.Context(), Reset{})
		synctest.Wait()
		if more := lines(); len(more) > 0 || r.Stats().Hangs != 2 {
			t.Errorf("logged %v after the second hang, counted %+v", more, r.Stats())
		}
		close(release)
	})
}

// The context ends at the limit, with the caller and with the module: a hook that heeds it does not hang.
func TestTheContextOfAHookEnds(t *testing.T) {
	for name, end := range map[string]func(r *Runner, caller context.CancelFunc){
		"limit":  func(*Runner, context.CancelFunc) {},
		"caller": func(_ *Runner, caller context.CancelFunc) { caller() },
		"module": func(r *Runner, _ context.CancelFunc) { r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heeded := make(chan struct{})
				r, _ := faulty(t, Hooks{Reset: func(ctx context.Context, _ Reset) Verdict {
					<-ctx.Done()
					close(heeded)
					return Proceed()
				}})
				defer r.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan struct{})
				go func() {
					r.Decide(ctx, Reset{})
					close(done)
				}()
				synctest.Wait()
				began := time.Now()
				end(r, cancel)
				<-heeded
				<-done
				if early := time.Since(began) == 0; early != (name != "limit") {
					t.Errorf("the context ended after %v", time.Since(began))
				}
			})
		})
	}
}

func TestCloseDoesNotWaitForAHookThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r, lines := faulty(t, Hooks{Changed: func(Change) { <-release }})
		r.Tell(Change{Kind: Link})
		synctest.Wait()
		began := time.Now()
		r.Close()
		if took := time.Since(began); took != stopTime {
			t.Errorf("closed after %v, want %v", took, stopTime)
		}
		if got := lines(); len(got) != 1 || !strings.Contains(got[0].Message, "still run") {
			t.Errorf("logged %v", got)
		}
		close(release)
		r.Tell(Change{Kind: Link})
		if err := r.guard.call(t.Context(), "late", Limit, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a call after Close: %v", err)
		}
	})
}

func TestChangesComeInOrderAndAreCountedWhenMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []Change
		stop := make(chan struct{})
		r, _ := faulty(t, Hooks{Changed: func(change Change) {
			mu.Lock()
			got = append(got, change)
			first := len(got) == 1
			mu.Unlock()
			if first {
				<-stop
			}
			if change.RequestID == 3 {
				panic("poison")
			}
		}})
		defer r.Close()
		r.Tell(Change{RequestID: 1})
		synctest.Wait()
		const more = 10
		for i := range int64(maxChanges + more) {
			r.Tell(Change{RequestID: 2 + i})
		}
		close(stop) // slow, and not beyond the limit
		synctest.Wait()
		r.Tell(Change{RequestID: 1000})
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(got) != maxChanges+2 {
			t.Fatalf("%d changes, want %d", len(got), maxChanges+2)
		}
		missed := 0
		for i, change := range got[:len(got)-1] {
			missed += change.Missed
			if change.RequestID != int64(i+1) {
				t.Fatalf("change %d is %+v", i, change)
			}
		}
		// One is lost by its own panic, and more found no room.
		if last := got[len(got)-1]; last.RequestID != 1000 || missed+last.Missed != more+1 {
			t.Errorf("last %+v, and %d missed before, want %d together", last, missed, more+1)
		}
	})
}

func TestAliveIsNotCalledTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		release := make(chan struct{})
		r, lines := faulty(t, Hooks{Alive: func() {
			calls.Add(1)
			<-release
		}})
		defer r.Close()
		for range 100 {
			r.alive()
			time.Sleep(time.Second)
		}
		if calls.Load() != 1 {
			t.Errorf("called %d times while it hangs", calls.Load())
		}
		expectLine(t, lines(), "Alive", "hangs")
		close(release)
		synctest.Wait()
		r.alive()
		synctest.Wait()
		if calls.Load() != 2 {
			t.Errorf("called %d times, want again after its return", calls.Load())
		}
	})
}

func TestPostponedResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []Reset
		r, _ := faulty(t, Hooks{Reset: func(_ context.Context, request Reset) Verdict {
			asked = append(asked, request)
			switch {
			case request.Type == "Hard":
				return Taken()
			case request.Postponed < 2:
				return Postpone(time.Minute, "a vehicle charges")
			}
			return Proceed()
		}})
		defer r.Close()
		began := time.Now()
		later := make(chan Verdict, 1)
		give := func(_ context.Context, verdict Verdict) { later <- verdict }
		first := r.Request(t.Context(), Reset{Cause: ByMainBoard}, give)
		if !first.IsPostpone() || first.Reason() != "a vehicle charges" || first.After() != time.Minute {
			t.Errorf("first %+v", first)
		}
		if verdict := <-later; !verdict.IsProceed() || time.Since(began) != 2*time.Minute || asked[2].Postponed != 2 || !asked[2].Since.Equal(began) {
			t.Errorf("later %+v after %v, asked %+v", verdict, time.Since(began), asked)
		}
		// A newer request replaces one that waits.
		r.Request(t.Context(), Reset{Cause: ByMainBoard}, give)
		if verdict := r.Request(t.Context(), Reset{Cause: ByMainBoard, Type: "Hard"}, give); !verdict.IsTaken() {
			t.Errorf("hard: %+v", verdict)
		}
		count := len(asked)
		time.Sleep(time.Hour)
		if len(asked) != count || len(later) > 0 {
			t.Errorf("the older request is asked for again: %+v", asked[count:])
		}
	})
}

func TestAwaitAsksUntilItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := faulty(t, Hooks{Reset: func(_ context.Context, request Reset) Verdict {
			return []Verdict{Refuse("no"), Postpone(time.Hour, "later"), Proceed()}[request.Postponed]
		}})
		defer r.Close()
		held, began := 0, time.Now()
		verdict := r.Await(t.Context(), Reset{Cause: ByLinkLoss}, func() { held++ })
		if took := time.Since(began); !verdict.IsProceed() || held != 1 || took != askAgain+time.Hour {
			t.Errorf("%+v after %v, held %d times", verdict, took, held)
		}
	})
}

func TestTheTimeOfPostponeIsBounded(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{-1: minPostpone, 0: minPostpone, time.Hour: time.Hour, 1 << 62: maxPostpone} {
		if got := Postpone(given, "").After(); got != want {
			t.Errorf("Postpone(%v) is asked again after %v, want %v", given, got, want)
		}
	}
}

func TestHandlersHaveALimitOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, lines := faulty(t, Hooks{CommandLimit: time.Second})
		defer r.Close()
		release := make(chan struct{})
		hang := func(context.Context) (any, error) {
			<-release
			return nil, nil
		}
		for range 100 {
			if _, err := r.command(t.Context(), "lamp.light", hang); err == nil || !strings.Contains(err.Error(), "lamp.light does not return") {
				t.Fatalf("a command that hangs: %v", err)
			}
		}
		expectLine(t, lines(), "lamp.light", "hangs")
		if _, err := r.command(t.Context(), "lamp.dim", func(context.Context) (any, error) { panic("poison") }); err == nil || !strings.Contains(err.Error(), "lamp.dim panicked") {
			t.Errorf("a command that panics: %v", err)
		}
		failure := errors.New("the lamp is broken")
		if _, err := r.command(t.Context(), "lamp.dim", func(context.Context) (any, error) { return nil, failure }); !errors.Is(err, failure) {
			t.Errorf("a command that fails: %v", err)
		}
		if result, err := r.command(t.Context(), "lamp.dim", func(context.Context) (any, error) { return 7, nil }); err != nil || result != 7 {
			t.Errorf("a command: %v, %v", result, err)
		}
		close(release)
	})
}
