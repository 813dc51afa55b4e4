package aggregator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/hook"
)

// A fork decides about the reset of the station, and about that of one board.
func TestTheResetPolicyOfAFork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		decide  func(hook.Reset) hook.Verdict
		allowed bool
		resets  bool
		// alone is what an operator hears who resets one board, empty where the board is reset.
		alone string
	}{
		"proceed": {func(hook.Reset) hook.Verdict { return hook.Proceed() }, true, true, ""},
		"refuse":  {func(hook.Reset) hook.Verdict { return hook.Refuse("a vehicle charges") }, false, false, "refuses it: a vehicle charges"},
		"postpone": {func(request hook.Reset) hook.Verdict {
			if request.Postponed == 0 {
				return hook.Postpone(time.Second, "a vehicle charges")
			}
			return hook.Proceed()
		}, true, true, "a vehicle charges. Try again in 1 s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := controlledStationWith(t, 2, map[string]any{forkHooks: hook.Hooks{Reset: func(_ context.Context, request hook.Reset) hook.Verdict {
				if request.Type != "Hard" || (request.Board == "1_board1") != (request.Cause == hook.ByOperator) {
					t.Errorf("asked %+v", request)
				}
				return test.decide(request)
			}}})
			if allowed := s.resetAllowed(t); allowed != test.allowed {
				t.Errorf("is_reset_allowed: %v", allowed)
			}
			if test.allowed {
				s.boards[1].wasCalled(t, "is_reset_allowed")
				s.boards[0].wasCalled(t, "is_reset_allowed")
			}
			_, err := client.Reset(t.Context(), "1", true)
			s.boards[1].wasCalled(t, "is_reset_allowed")
			var refused *control.AnswerError
			switch {
			case test.alone == "" && err == nil:
				s.boards[1].wasCalled(t, "reset")
			case test.alone == "", !errors.As(err, &refused) || !strings.Contains(refused.Text, test.alone):
				t.Errorf("the reset of a board alone: %v", err)
			}
			s.reset(t)
			if test.resets {
				s.boards[1].expectReset(t)
				s.boards[0].wasCalled(t, "reset")
				return
			}
			s.waitLogged(t, "the reset policy of this fork has decided", 2)
			for _, b := range s.boards {
				b.wasNotCalled(t)
			}
		})
	}
}

// A fork has its own command and variable beside the station's system, and hears what changes.
func TestAForkOfTheAggregator(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard []string
	var alive atomic.Int64
	s := newStation(t, 2, map[string]any{forkHooks: hook.Hooks{
		Own: func(own *hook.Own) error {
			own.Handle("acme_delay", "enable", func(ctx context.Context, _ everest.Args) (any, error) { return nil, nil })
			own.Handle("acme_delay", "disable", func(ctx context.Context, _ everest.Args) (any, error) { panic("poison") })
			return nil
		},
		Changed: func(change hook.Change) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf("%s %s %s %d", change.Kind, change.State, change.Board, change.RequestID))
		},
		Alive: func() { alive.Add(1) }, AliveInterval: 10 * time.Millisecond,
	}})
	delay := s.backend.module.Requires("acme_delay")[0]
	if err := delay.Call(t.Context(), "enable", nil, nil); err != nil {
		t.Error(err)
	}
	if err := delay.Call(t.Context(), "disable", nil, nil); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("a handler that panics: %v", err)
	}
	call[string](t, s.backend, "update_firmware", unsigned(7))
	for _, b := range s.boards {
		b.wasCalled(t, "update_firmware")
		b.firmware(t, 7, "Downloading")
	}
	s.backend.expect(t, "7 Downloading")
	s.reset(t)
	want := []string{"firmware Downloading 0_board0 7", "firmware Downloading 1_board1 7", "firmware Downloading  7", "reset asked  0", "reset begun  0"}
	testenv.Eventually(t, fmt.Sprintf("the fork hears %q", want), func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(want, func(text string) bool { return !slices.Contains(heard, text) })
	})
	before := alive.Load()
	testenv.Eventually(t, "the module is alive", func() bool { return alive.Load() > before+2 })
}

// Hooks that hang or panic leave the station as it is.
func TestHooksThatFailLeaveTheStationAlone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"panic", "hang"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			released := make(chan struct{})
			t.Cleanup(func() { close(released) })
			fail := func() {
				if name == "panic" {
					panic("poison")
				}
				<-released
			}
			s := newStation(t, 2, map[string]any{forkHooks: hook.Hooks{
				Reset: func(context.Context, hook.Reset) hook.Verdict {
					fail()
					return hook.Refuse("never reached")
				},
				Own: func(*hook.Own) error {
					fail()
					return errors.New("never reached")
				},
				Changed: func(hook.Change) { fail() },
				Alive:   fail, AliveInterval: 20 * time.Millisecond,
			}})
			call[string](t, s.backend, "update_firmware", unsigned(7))
			for _, b := range s.boards {
				b.wasCalled(t, "update_firmware")
				b.firmware(t, 7, "Downloading")
			}
			s.backend.expect(t, "7 Downloading")
			for _, b := range s.boards {
				b.firmware(t, 7, "DownloadFailed")
			}
			s.backend.expect(t, "7 DownloadFailed")
			s.reset(t)
			s.boards[1].expectReset(t)
			s.boards[0].wasCalled(t, "reset")
			want := map[string]int{"Reset": 1, "Own": 1, "Changed": 1, "Alive": 1}
			testenv.Eventually(t, "each fault is logged once", func() bool {
				got := map[string]int{}
				for _, entry := range s.logs.FilterFieldKey("hook").All() {
					got[fmt.Sprint(entry.ContextMap()["hook"])]++
				}
				return cmp.Equal(want, got)
			})
		})
	}
}
