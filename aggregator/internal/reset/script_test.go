package reset

import (
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
)

func TestStories(t *testing.T) {
	machinetest.Stories(t, func(boards int) machinetest.Forms {
		m := NewMachine(boards)
		step := func(event Event) (lines []string) {
			for _, action := range m.Step(event) {
				switch action := action.(type) {
				case *Call:
					lines = append(lines, fmt.Sprintf("reset board %d", action.Board))
				case Pause:
					lines = append(lines, "pause")
				}
			}
			return lines
		}
		return machinetest.Forms{
			"reset":                 func(*machinetest.Values) []string { return step(Requested{}) },
			"board <board> is done": func(v *machinetest.Values) []string { return step(BoardDone{Board: v.Int("board")}) },
			"the pause is over":     func(*machinetest.Values) []string { return step(PauseEnded{}) },
		}
	})
}
