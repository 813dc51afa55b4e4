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
		var kept disk
		step := func(event Event) []string {
			actions := m.Step(event)
			kept.follow(m, actions)
			return describe(actions)
		}
		restart := func(alone bool) []string {
			m = NewMachine(boards)
			saved, any, err := kept.read()
			if !any || err != nil {
				return describe(nil, err)
			}
			actions, err := m.Restore(saved, alone)
			kept.follow(m, actions)
			return describe(actions, err)
		}
		forms := machinetest.Forms{
			"request <id> signed": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), Signed: true, Attempts: 1})
			},
			"request <id> unsigned": func(v *machinetest.Values) []string { return step(Requested{RequestID: v.Int64("id"), Attempts: 1}) },
			"request <id> signed after a silence": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), Signed: true, Attempts: 1, Silent: true})
			},
			"the limit of flashing board <board> passes": func(v *machinetest.Values) []string {
				return step(FlashLimitExpired{Board: v.Int("board")})
			},
			"request <id> signed with <attempts> attempts": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), Signed: true, Attempts: v.Int("attempts")})
			},
			"request <id> unsigned with <attempts> attempts": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), Attempts: v.Int("attempts")})
			},
			"board <board> responds <response> with an old boot reason": func(v *machinetest.Values) []string {
				return step(Responded{Board: v.Int("board"), Response: machinetest.Name(v, "response", ParseResponse), OldBootReason: true})
			},
			"board <board> has started after an update": func(v *machinetest.Values) []string { return step(Booted{Board: v.Int("board")}) },
			"the wait for board <board> ends":           func(v *machinetest.Values) []string { return step(WaitEnded{Board: v.Int("board")}) },
			"board <board> responds <response>": func(v *machinetest.Values) []string {
				return step(Responded{Board: v.Int("board"), Response: machinetest.Name(v, "response", ParseResponse)})
			},
			"board <board> reports <id> <status>": func(v *machinetest.Values) []string {
				return step(Reported{Board: v.Int("board"), RequestID: v.Int64("id"), Status: machinetest.Name(v, "status", ParseStatus)})
			},
			"board <board> is back":   func(v *machinetest.Values) []string { return step(Back{Board: v.Int("board")}) },
			"board <board> is away":   func(v *machinetest.Values) []string { return step(Away{Board: v.Int("board")}) },
			"board <board> restarts":  func(v *machinetest.Values) []string { return step(Restarted{Board: v.Int("board")}) },
			"installation is allowed": func(*machinetest.Values) []string { return step(Allowed{}) },
			"the main board restarts": func(*machinetest.Values) []string { return restart(false) },
			"the aggregator restarts": func(*machinetest.Values) []string { return restart(true) },
		}
		for phase := PhaseDownload; phase <= PhaseNoPermission; phase++ {
			forms["limit passes: "+phase.String()] = func(*machinetest.Values) []string { return step(LimitExpired{Phase: phase}) }
		}
		return forms
	})
}

// disk is the state file: what a machine has asked to be saved, and nothing else of it. The zero value is no file.
type disk struct{ saved *Saved }

// follow carries out what actions ask for. The shell saves at the end of a step, and once more when it has published.
func (d *disk) follow(m *Machine, actions []Action) {
	for _, action := range actions {
		switch action.(type) {
		case Save, *Publish:
			if saved, any := m.Saved(); any {
				d.saved = &saved
			}
		case Forget:
			d.saved = nil
		}
	}
}

// read returns what is on the disk, and false when there is nothing.
func (d *disk) read() (saved Saved, any bool, err error) {
	if d.saved == nil {
		return saved, false, nil
	}
	content, err := json.Marshal(d.saved)
	if err == nil {
		err = json.Unmarshal(content, &saved)
	}
	return saved, true, err
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
	case *Wait:
		return fmt.Sprintf("wait for board %d: %s", a.Board, a.For)
	case *StopWait:
		return fmt.Sprintf("no wait for board %d", a.Board)
	case *Blame:
		if a.Status != 0 {
			return fmt.Sprintf("blame board %d: %s", a.Board, a.Status)
		}
		return fmt.Sprintf("blame board %d: silent in the phase %s", a.Board, a.Phase)
	case *Apart:
		return fmt.Sprintf("board %d %s request %d, which the station does not have",
			a.Board, map[bool]string{true: "has installed", false: "works on"}[a.Installed], a.RequestID)
	case *Flashing:
		return fmt.Sprintf("board %d is %s", a.Board, map[bool]string{true: "flashed", false: "not flashed"}[a.On])
	}
	return ""
}
