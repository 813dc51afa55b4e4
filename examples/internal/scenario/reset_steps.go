package scenario

import (
	"context"
	"fmt"
	"slices"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// reset asks whether a reset is allowed, and resets the station whatever the answer is. It returns when a board is reset,
// unless the reset is not allowed. Nothing is permitted meanwhile. kind is Soft or Hard.
func reset(kind string, want bool) step {
	return func(ctx context.Context, t *telling) error {
		if err := t.awaitRegistration(ctx); err != nil {
			return err
		}
		allowed, err := everest.Call[bool](ctx, t.system(), "is_reset_allowed", map[string]any{"type": kind})
		if err != nil {
			return err
		}
		t.view.Printf("Reset %s, allowed: %t", kind, allowed)
		t.record.request(requestOf{}, "Reset %s: %s", kind, map[bool]string{true: "Accepted", false: "Rejected"}[allowed])
		if allowed != want {
			return fmt.Errorf("is_reset_allowed returns %t, want %t", allowed, want)
		}
		if err := t.system().Call(ctx, "reset", map[string]any{"type": kind, "scheduled": false}, nil); err != nil || !allowed {
			return err
		}
		select {
		case <-t.firstReset:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("no board is reset: %w", context.Cause(ctx))
		}
	}
}

// resets waits until the main board is reset and back, by resets of a kind. All satellites but those left out are reset
// before it. Its new start is a common one with all satellites, for which their agents reset them again.
func resets(kind string, leftOut ...int) step {
	return func(ctx context.Context, t *telling) error { return t.awaitResets(ctx, kind, leftOut) }
}

func (t *telling) awaitResets(ctx context.Context, kind string, leftOut []int) error {
	before := func() (satellites []string, reset bool) {
		t.mu.Lock()
		defer t.mu.Unlock()
		main := slices.Index(t.resets, boardName(0))
		return slices.Sorted(slices.Values(t.resets[:max(main, 0)])), main >= 0
	}
	if err := t.await(ctx, func() string {
		if _, reset := before(); !reset {
			return "the main board is not reset"
		}
		if _, restarts, ready := t.updaters[0].State(); restarts == 0 || !ready {
			return "the main board has not started again"
		}
		return ""
	}); err != nil {
		return err
	}
	if err := inService(ctx, t); err != nil {
		return err
	}
	var want []string
	for i := 1; i <= t.Satellites; i++ {
		if !slices.Contains(leftOut, i) {
			want = append(want, boardName(i))
		}
	}
	slices.Sort(want)
	if got, _ := before(); !slices.Equal(got, want) {
		return fmt.Errorf("before the main board, %q are reset, want %q", got, want)
	}
	for _, name := range append(want, boardName(0)) {
		t.record.line("%s is reset", name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds[boardName(0)] != kind {
		return fmt.Errorf("the main board is reset %s, want %s", t.kinds[boardName(0)], kind)
	}
	return nil
}

// byDataTransfer resets a board from the backend, and bySatctl as satctl does on the main board.
func byDataTransfer(ctx context.Context, t *telling, board string) error {
	_, err := t.dataTransfer(ctx, "ResetBoard", `{"board": "`+board+`"}`, false)
	t.record.request(requestOf{}, "DataTransfer ResetBoard %s: Accepted", board)
	return err
}

func bySatctl(ctx context.Context, t *telling, board string) error {
	client := control.Dial(t.controlSocket())
	defer client.Close()
	name, err := client.Reset(ctx, board, false)
	t.view.Printf("satctl reset %s: %s is being reset", board, name)
	t.record.request(requestOf{}, "satctl reset %s: %s", board, name)
	return err
}

// resetBoard resets satellite1 alone, and waits until it is back.
func resetBoard(reset func(ctx context.Context, t *telling, board string) error) step {
	return func(ctx context.Context, t *telling) error { return t.awaitBoardReset(ctx, reset) }
}

func (t *telling) awaitBoardReset(ctx context.Context, reset func(ctx context.Context, t *telling, board string) error) error {
	boards, err := t.boards(ctx, false)
	if err != nil {
		return err
	}
	before := boards[1].Since
	if err := reset(ctx, t, "connector_2"); err != nil {
		return err
	}
	if err := t.await(ctx, func() string {
		boards, err := t.boardsNow(ctx)
		if err != nil {
			return err.Error()
		}
		for i, board := range boards {
			if i != 1 && !board.Connected {
				return board.Name + " is away"
			}
		}
		if _, restarts, ready := t.updaters[1].State(); !boards[1].Connected || boards[1].Since == before || restarts == 0 || !ready {
			return "connector_2 is not back"
		}
		return ""
	}); err != nil {
		return err
	}
	for i, updater := range t.updaters {
		if _, restarts, _ := updater.State(); i != 1 && restarts > 0 {
			return fmt.Errorf("%s has restarted for the reset of connector_2", boardName(i))
		}
	}
	t.view.Printf("connector_2 is back in service, the others have gone on")
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range t.resets {
		t.record.line("%s is reset", name)
	}
	return nil
}
