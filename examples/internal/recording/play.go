package recording

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
)

// ChargePort is the module that is the charge port in the recordings.
const ChargePort = "connector"

// CommandAuthorize is the one recorded command that the session waits for: the
// messages of the charge port after it are its consequence.
const CommandAuthorize = "authorize_response"

// Step is one thing that a satellite board does when it plays a recording: exactly
// one of Variable, Error and Await is set.
type Step struct {
	At                     time.Duration
	Module, Implementation string
	// Variable is published by the implementation with Value.
	Variable string
	// Error is raised or, if it is not active, cleared, with Value as its object.
	Error *everest.Error
	Value json.RawMessage
	// Await is a command that must have arrived before the play continues.
	Await string
}

// Play is what a satellite board does in one round.
type Play struct {
	Steps []Step
	// Length is the time from the first message of the first recording to the last
	// message of the last one.
	Length time.Duration
}

// Whole returns the play of the charging session and then of the errors.
func Whole() (Play, error) {
	session, err := ChargingSession()
	if err != nil {
		return Play{}, err
	}
	errors, err := ErrorSeries()
	if err != nil {
		return Play{}, err
	}
	return newPlay(session, errors)
}

// newPlay joins recordings one after the other. It takes from them the variables
// of the charge port and the errors of every module.
func newPlay(recordings ...[]Row) (Play, error) {
	var play Play
	for _, rows := range recordings {
		start := play.Length
		for _, row := range rows {
			play.Length = start + row.At
			step, ok, err := newStep(row)
			if err != nil {
				return Play{}, fmt.Errorf("recorded %s %s of %s: %w", row.Kind, row.Name, row.Module, err)
			}
			if ok {
				step.At = play.Length
				play.Steps = append(play.Steps, step)
			}
		}
	}
	return play, nil
}

func newStep(row Row) (Step, bool, error) {
	step := Step{Module: row.Module, Implementation: row.Implementation}
	switch {
	case row.Kind == "var" && row.Module == ChargePort:
		step.Variable, step.Value = row.Name, row.Value
	case row.Kind == "error":
		step.Error, step.Value = new(everest.Error), row.Value
		if err := json.Unmarshal(row.Value, step.Error); err != nil {
			return Step{}, false, err
		}
	case row.Kind == "cmd" && row.Name == CommandAuthorize:
		step.Await = row.Name
	default:
		return Step{}, false, nil
	}
	return step, true, nil
}

// Run plays the steps at speed times the recorded pace. It calls do for each step;
// do returns how long it waited for the other side, and the steps after it shift
// by that time. Run returns after the play's length, or with the first error.
func (p Play) Run(ctx context.Context, speed float64, do func(context.Context, Step) (waited time.Duration, err error)) error {
	start := time.Now()
	for _, step := range p.Steps {
		if err := Sleep(ctx, time.Until(start.Add(Scale(step.At, speed)))); err != nil {
			return err
		}
		waited, err := do(ctx, step)
		if err != nil {
			return err
		}
		start = start.Add(waited)
	}
	return Sleep(ctx, time.Until(start.Add(Scale(p.Length, speed))))
}

// Scale returns how long a time of the recording takes at a speed.
func Scale(recorded time.Duration, speed float64) time.Duration {
	return time.Duration(float64(recorded) / speed)
}

// Sleep waits for d, or until ctx ends, whose error it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
