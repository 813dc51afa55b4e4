package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/examples/internal/recording"
)

// commandAuthorize is the one recorded command that the session waits for: what
// the charge port says after it is its consequence.
const commandAuthorize = "authorize_response"

// Step is one thing that a satellite board does when it plays a recording:
// exactly one of Variable, Error and Await is set.
type Step struct {
	At                     time.Duration
	Module, Implementation string
	// Variable is published by the implementation with this value.
	Variable string
	Value    json.RawMessage
	// Error is raised or, where its state says so, cleared.
	Error *everest.Error
	// Await is a command that has to have arrived before the play goes on.
	Await string
}

// Play is what a satellite board does in one round: the session, then the
// errors.
type Play struct {
	Steps []Step
	// Length is the time from the first message of the first recording to the
	// last one of the last.
	Length time.Duration
}

// NewPlay joins recordings one after the other and takes from them what the
// charge port publishes and the errors of every module.
func NewPlay(recordings ...[]recording.Row) (Play, error) {
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

func newStep(row recording.Row) (Step, bool, error) {
	step := Step{Module: row.Module, Implementation: row.Implementation}
	switch {
	case row.Kind == "var" && row.Module == moduleConnector:
		step.Variable, step.Value = row.Name, row.Value
	case row.Kind == "error":
		step.Error = new(everest.Error)
		if err := json.Unmarshal(row.Value, step.Error); err != nil {
			return Step{}, false, err
		}
	case row.Kind == "cmd" && row.Name == commandAuthorize:
		step.Await = row.Name
	default:
		return Step{}, false, nil
	}
	return step, true, nil
}

// Run plays the steps at speed times the recorded pace: do carries out each, and
// returns how long it had to wait for the other side; the steps after it shift by
// that time. It returns when the play's length is over, or with the first error.
func (p Play) Run(ctx context.Context, speed float64, do func(context.Context, Step) (waited time.Duration, err error)) error {
	start := time.Now()
	for _, step := range p.Steps {
		if err := recording.Sleep(ctx, time.Until(start.Add(scale(step.At, speed)))); err != nil {
			return err
		}
		waited, err := do(ctx, step)
		if err != nil {
			return err
		}
		start = start.Add(waited)
	}
	return recording.Sleep(ctx, time.Until(start.Add(scale(p.Length, speed))))
}

// scale turns time of the recording into time of the clock.
func scale(recorded time.Duration, speed float64) time.Duration {
	return time.Duration(float64(recorded) / speed)
}
