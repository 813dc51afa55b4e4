package recording

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlayKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := Play{
			Length: 8 * time.Second,
			Steps: []Step{
				{At: 0, Variable: "first"}, {At: 2 * time.Second, Await: "command"},
				{At: 2 * time.Second, Variable: "same time"}, {At: 6 * time.Second, Variable: "last"},
			},
		}
		start := time.Now()
		var at []time.Duration
		err := play.Run(t.Context(), 2, func(_ context.Context, step Step) (time.Duration, error) {
			at = append(at, time.Since(start))
			if step.Await == "" {
				return 0, nil
			}
			time.Sleep(10 * time.Second) // the other side takes its time
			return 10 * time.Second, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, time.Second, 11 * time.Second, 13 * time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("times (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took != 14*time.Second {
			t.Errorf("the play took %v, want half of its 8 s and the 10 s of waiting", took)
		}
	})
}

func TestPlayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		play := Play{Steps: []Step{{At: time.Hour}}, Length: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := play.Run(ctx, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
		failure := errors.New("broken")
		err := play.Run(t.Context(), 1, func(context.Context, Step) (time.Duration, error) { return 0, failure })
		if !errors.Is(err, failure) {
			t.Errorf("error %v, want that of the step", err)
		}
	})
}

func TestEmbeddedRecordings(t *testing.T) {
	play, err := Whole()
	if err != nil {
		t.Fatal(err)
	}
	variables, raised, cleared, awaits := 0, 0, 0, 0
	for i, step := range play.Steps {
		switch {
		case step.Variable != "":
			variables++
			if step.Module != ChargePort {
				t.Errorf("step %d: variable %s of %s", i, step.Variable, step.Module)
			}
		case step.Error != nil && step.Error.State == "Active":
			raised++
		case step.Error != nil:
			cleared++
		case step.Await == CommandAuthorize:
			awaits++
		default:
			t.Errorf("step %d does nothing", i)
		}
		if i > 0 && step.At < play.Steps[i-1].At {
			t.Errorf("step %d is before the one before it", i)
		}
	}
	// 162 variables of the session, and 128 that the charge port published while
	// errors were raised.
	if variables != 162+128 || raised != 9 || cleared != 9 || awaits != 1 {
		t.Errorf("the play has %d variables, %d raises, %d clears, %d awaited commands", variables, raised, cleared, awaits)
	}
	if play.Length < 33*time.Second || play.Length > 34*time.Second {
		t.Errorf("the play lasts %v", play.Length)
	}
}
