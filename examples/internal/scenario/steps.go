package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// request requests an update, and wants an answer. A request of OCPP 1.6 without an id is not signed.
func request(id int64, attempts int, want string) step {
	return func(ctx context.Context, t *telling) error {
		answer, err := t.updateFirmware(ctx, id, t.isSigned(id), attempts, max(t.pause, time.Second))
		if err != nil {
			return err
		}
		if t.answered(id, answer); answer != want {
			return fmt.Errorf("update %d is answered %s, want %s", id, answer, want)
		}
		return nil
	}
}

// settled waits until statuses do not wait any more after the registration. A fast update that ends before is told without
// Downloaded in OCPP 1.6.
func settled(ctx context.Context, t *telling) error {
	if err := t.awaitRegistration(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(2 * time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// requestBoth requests two updates at once. One of them is accepted, or the later one replaces the other.
func requestBoth(ids ...int64) step {
	return func(ctx context.Context, t *telling) error {
		answers, errs := make([]string, len(ids)), make([]error, len(ids))
		var asking sync.WaitGroup
		for i, id := range ids {
			asking.Go(func() { answers[i], errs[i] = t.updateFirmware(ctx, id, true, 1, time.Second) })
		}
		asking.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		first := slices.Index(answers, "Accepted")
		if first < 0 || answers[1-first] != "Rejected" && answers[1-first] != "AcceptedCanceled" {
			return fmt.Errorf("two updates at once are answered %s", strings.Join(answers, " and "))
		}
		t.answered(ids[first], answers[first])
		t.answered(ids[1-first], answers[1-first])
		return nil
	}
}

// end waits for the end of the latest update.
func end(want string) step {
	return func(ctx context.Context, t *telling) error {
		if err := t.await(ctx, func() string {
			if t.next != nil || !t.order.Over {
				return "after " + strings.Join(t.order.Heard, ", ")
			}
			return ""
		}); err != nil {
			return err
		}
		t.view.Printf("status sequence of update %d: %s", t.order.ID, strings.Join(t.order.Heard, ", "))
		if got := t.order.Heard[len(t.order.Heard)-1]; got != want {
			return fmt.Errorf("update %d ends with %s, want %s", t.order.ID, got, want)
		}
		return nil
	}
}

// images waits until each board has the image of the latest update, or its old one, and is in service.
func images(updated func(number int) bool) step {
	return func(ctx context.Context, t *telling) error {
		return t.await(ctx, func() string {
			for i, updater := range t.updaters {
				want := int64(0)
				if updated(i) {
					want = t.order.ID
				}
				// An image without an id has the number -1, too. EVerest's System does not restart after an unsigned update.
				image, restarts, ready := updater.State()
				if image != want || !ready || want > 0 && restarts == 0 {
					return fmt.Sprintf("%s has image %d instead of %d, ready: %t after %d restarts", boardName(i), image, want, ready, restarts)
				}
			}
			if missing := t.connected(ctx); missing != "" {
				return missing
			}
			t.view.Printf("all boards are in service")
			return ""
		})
	}
}

// inService waits until every board is there.
func inService(ctx context.Context, t *telling) error {
	if err := t.await(ctx, func() string { return t.connected(ctx) }); err != nil {
		return err
	}
	t.view.Printf("all boards are in service")
	return nil
}

// reports waits for a report of satellite1.
func reports(status string) step {
	return func(ctx context.Context, t *telling) error {
		return t.await(ctx, func() string {
			t.mu.Lock()
			defer t.mu.Unlock()
			if !t.reported["satellite1 "+status] {
				return "satellite1 has not reported " + status
			}
			return ""
		})
	}
}

// shown waits until the backend sees satellite1 at a status: what the board has reported has come to the station.
func shown(status string) step {
	return func(ctx context.Context, t *telling) error {
		return t.await(ctx, func() string {
			boards, err := t.boardsNow(ctx)
			if err != nil {
				return err.Error()
			}
			if boards[1].FirmwareStatus != status {
				return fmt.Sprintf("satellite1 is shown as %q and not %s", boards[1].FirmwareStatus, status)
			}
			return ""
		})
	}
}

// cutAll cuts the power of all boards.
func cutAll(_ context.Context, t *telling) error {
	for i := range t.updaters {
		t.crash(i)
	}
	return nil
}

// cut cuts the power of a board.
func cut(number int) step {
	return func(_ context.Context, t *telling) error { t.crash(number); return nil }
}

// away waits until the backend sees that satellite1 is away.
func away(ctx context.Context, t *telling) error {
	return t.await(ctx, func() string {
		boards, err := t.boardsNow(ctx)
		if err != nil {
			return err.Error()
		}
		if boards[1].Connected {
			return boards[1].Name + " is there"
		}
		return ""
	})
}

// silence makes satellite1 silent until its next start.
func silence(_ context.Context, t *telling) error {
	t.view.Printf("  satellite1 is silent")
	t.updaters[1].Silence()
	return nil
}
