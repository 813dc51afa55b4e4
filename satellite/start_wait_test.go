package satellite

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A start that waits says so each minute, and no more once it has ended.
func TestAStartThatWaitsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wait startWait
		var reported []time.Duration
		var problems []string
		failed := errors.New("failed")
		err := wait.during(func() error {
			problems = append(problems, wait.problem())
			time.Sleep(210 * time.Second)
			problems = append(problems, wait.problem())
			return failed
		}, startReportInterval, func(waited time.Duration) { reported = append(reported, waited) })
		if err != failed {
			t.Errorf("returned %v, want the start's error", err)
		}
		if want := []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}; !slices.Equal(reported, want) {
			t.Errorf("reported after %v, want %v", reported, want)
		}
		problems = append(problems, wait.problem())
		if want := []string{"", " This board's EVerest has waited for it for 3m30s.", ""}; !slices.Equal(problems, want) {
			t.Errorf("problems %q, want %q", problems, want)
		}
		time.Sleep(10 * time.Minute)
		if len(reported) != 3 {
			t.Errorf("reported after the start: %v", reported)
		}
	})
}
