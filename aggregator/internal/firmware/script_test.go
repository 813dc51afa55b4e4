package firmware

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
)

func TestStories(t *testing.T) {
	machinetest.Stories(t, func(boards int) machinetest.Forms {
		m := NewMachine(boards)
		step := func(event Event) []string { return describe(m.Step(event)) }
		forms := machinetest.Forms{
			"request <id> signed": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), Signed: true})
			},
			"request <id> unsigned": func(v *machinetest.Values) []string { return step(Requested{RequestID: v.Int64("id")}) },
			"board <board> responds <response>": func(v *machinetest.Values) []string {
				return step(Responded{Board: v.Int("board"), Response: machinetest.Name(v, "response", ParseResponse)})
			},
			"board <board> reports <id> <status>": func(v *machinetest.Values) []string {
				return step(Reported{Board: v.Int("board"), RequestID: v.Int64("id"), Status: machinetest.Name(v, "status", ParseStatus)})
			},
			"installation is allowed": func(*machinetest.Values) []string { return step(Allowed{}) },
			"the main board restarts": func(*machinetest.Values) []string {
				saved, active := m.Saved()
				m = NewMachine(boards)
				if !active {
					return nil
				}
				return describe(m.Restore(overDisk(t, saved)))
			},
		}
		for phase := PhaseDownload; phase <= PhaseMain; phase++ {
			forms["limit passes: "+phase.String()] = func(*machinetest.Values) []string { return step(LimitExpired{Phase: phase}) }
		}
		return forms
	})
}

func overDisk(t *testing.T, saved Saved) (read Saved) {
	t.Helper()
	content, err := json.Marshal(saved)
	if err == nil {
		err = json.Unmarshal(content, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// describe returns the actions as a story shows them.
func describe(actions []Action, errs ...error) (lines []string) {
	for _, err := range errs {
		if err != nil {
			lines = append(lines, err.Error())
		}
	}
	for _, action := range actions {
		if line := actionLine(action); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func actionLine(action Action) string {
	switch a := action.(type) {
	case Ask:
		return "ask every board"
	case *Reply:
		return "reply " + a.Response.String()
	case *Publish:
		return fmt.Sprintf("publish %d %s", a.RequestID, a.Status)
	case *Permit:
		return fmt.Sprintf("permit board %d", a.Board)
	case *StartLimit:
		return "limit: " + a.Phase.String()
	case StopLimit:
		return "no limit"
	case *Blame:
		if a.Status != 0 {
			return fmt.Sprintf("blame board %d: %s", a.Board, a.Status)
		}
		return fmt.Sprintf("blame board %d: silent in the phase %s", a.Board, a.Phase)
	case *LeftOver:
		return fmt.Sprintf("board %d works on a refused request", a.Board)
	}
	return ""
}
