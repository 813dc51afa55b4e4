package reset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
				case Hold:
					lines = append(lines, "hold")
				case Look:
					lines = append(lines, "look for the satellites")
				case Pause:
					lines = append(lines, "pause")
				}
			}
			return lines
		}
		return machinetest.Forms{
			"reset": func(*machinetest.Values) []string { return step(Requested{}) },
			"every satellite is there": func(*machinetest.Values) []string {
				var all []int
				for board := range boards {
					all = append(all, board)
				}
				return step(Found{Boards: all})
			},
			"no satellite is there": func(*machinetest.Values) []string { return step(Found{}) },
			"only satellite <board> is there": func(v *machinetest.Values) []string {
				return step(Found{Boards: []int{v.Int("board")}})
			},
			"a board is flashed":    func(*machinetest.Values) []string { return step(Flashing{Any: true}) },
			"no board is flashed":   func(*machinetest.Values) []string { return step(Flashing{}) },
			"board <board> is done": func(v *machinetest.Values) []string { return step(BoardDone{Board: v.Int("board")}) },
			"the pause is over":     func(*machinetest.Values) []string { return step(PauseEnded{}) },
		}
	})
}

// TestNoBoardIsResetWhileOneIsFlashed: in any order of requests, findings, ends and installations. Each reset comes to its
// end once nobody is flashed and everybody has responded.
func TestNoBoardIsResetWhileOneIsFlashed(t *testing.T) {
	machinetest.Histories(t, func(random *rand.Rand, tell func(string, ...any)) error {
		boards := 1 + random.IntN(5)
		m := NewMachine(boards)
		flashing, found := false, map[int]bool{}
		var open []Event // what the machine has asked for
		step := func(event Event) error {
			tell("%T%+v", event, event)
			if f, ok := event.(Flashing); ok {
				flashing = f.Any
			}
			if done, ok := event.(BoardDone); ok {
				open = slices.DeleteFunc(open, func(other Event) bool { return other == done })
			}
			if f, ok := event.(Found); ok {
				clear(found)
				for _, board := range f.Boards {
					found[board] = true
				}
			}
			for _, action := range m.Step(event) {
				tell("  %T%+v", action, action)
				switch action := action.(type) {
				case *Call:
					if flashing {
						return fmt.Errorf("board %d is reset while a board is flashed", action.Board)
					}
					if action.Board == 0 && slices.ContainsFunc(open, func(event Event) bool { _, calling := event.(BoardDone); return calling }) {
						return errors.New("the main board is reset before the satellites are done")
					}
					if action.Board > 0 && !found[action.Board] {
						return fmt.Errorf("board %d is reset, which is not there", action.Board)
					}
					open = append(open, BoardDone{action.Board})
				case Look:
					var there []int
					for board := 1; board < boards; board++ {
						if random.IntN(2) == 0 {
							there = append(there, board)
						}
					}
					open = append(open, Found{there})
				case Pause:
					open = append(open, PauseEnded{})
				}
			}
			return nil
		}
		next := func() Event {
			i := random.IntN(len(open))
			event := open[i]
			open = append(open[:i], open[i+1:]...)
			return event
		}
		for range 40 {
			var event Event = Requested{}
			switch dice := random.IntN(10); {
			case dice < 3:
				event = Flashing{Any: random.IntN(2) == 0}
			case dice < 4:
				event = BoardDone{random.IntN(boards + 1)}
			case len(open) > 0 && dice < 9:
				event = next()
			}
			if err := step(event); err != nil {
				return err
			}
		}
		if err := step(Flashing{}); err != nil {
			return err
		}
		for len(open) > 0 {
			if err := step(next()); err != nil {
				return err
			}
		}
		if m.State() != Idle {
			return fmt.Errorf("the reset has no end: state %d", m.State())
		}
		return nil
	})
}
