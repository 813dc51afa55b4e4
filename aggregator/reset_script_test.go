package aggregator

import (
	"fmt"
	"testing"
)

func TestResetScripts(t *testing.T) {
	runScripts(t, "testdata/reset/*.txt", func() func(string) ([]string, error) {
		var plan *ResetPlan
		return func(line string) ([]string, error) {
			var event ResetEvent
			switch boards := 0; {
			case scan(line, "station of %d boards", &boards):
				plan = NewResetPlan(boards)
				return nil, nil
			case line == "reset":
				event.Kind = ResetRequested
			case scan(line, "board %d is told", &event.Board):
				event.Kind = ResetTold
			case line == "the pause is over":
				event.Kind = ResetPauseOver
			default:
				return nil, fmt.Errorf("no such line in a reset script: %q", line)
			}
			var lines []string
			for _, action := range plan.Step(event) {
				switch action.Kind {
				case ResetReply:
					lines = append(lines, "answer")
				case ResetBoard:
					lines = append(lines, fmt.Sprintf("reset board %d", action.Board))
				case ResetPause:
					lines = append(lines, "pause")
				}
			}
			return lines, nil
		}
	})
}
