package logs

import (
	"fmt"
	"testing"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/machine/machinetest"
)

// The events of a story go to the newest job unless the line names another one.
func TestStories(t *testing.T) {
	machinetest.Stories(t, func(boards int) machinetest.Forms {
		m, newest := NewMachine(boards), 0
		step := func(event Event) (lines []string) {
			for _, action := range m.Step(event) {
				switch action := action.(type) {
				case *Ask:
					newest = action.Job
				case *Queue:
					newest = action.Job
				}
				lines = append(lines, actionLine(action))
			}
			return lines
		}
		status := func(v *machinetest.Values) Status { return machinetest.Name(v, "status", ParseStatus) }
		return machinetest.Forms{
			"request <id> with <attempts> attempts": func(v *machinetest.Values) []string {
				event := Requested{RequestID: v.Int64("id"), BoardRequestID: v.Int64("id"), Attempts: v.Int("attempts")}
				if event.RequestID == NoRequestID {
					event.BoardRequestID = 1000 + int64(newest)
				}
				return step(event)
			},
			"request <id> to a location that is <status>": func(v *machinetest.Values) []string {
				lines := step(Requested{RequestID: v.Int64("id"), BoardRequestID: v.Int64("id"), Failure: status(v)})
				newest++
				return lines
			},
			"request <id> while the boards are taken": func(v *machinetest.Values) []string {
				return step(Requested{RequestID: v.Int64("id"), BoardRequestID: v.Int64("id"), BoardsTaken: true})
			},
			"the turn comes":              func(*machinetest.Values) []string { return step(TurnCame{Job: newest}) },
			"the turn of job <job> comes": func(v *machinetest.Values) []string { return step(TurnCame{Job: v.Int("job")}) },
			"board <board> responds to job <job> with <response>": func(v *machinetest.Values) []string {
				return step(Responded{Job: v.Int("job"), Board: v.Int("board"), Response: machinetest.Name(v, "response", ParseResponse)})
			},
			"board <board> responds <response>": func(v *machinetest.Values) []string {
				return step(Responded{Job: newest, Board: v.Int("board"), Response: machinetest.Name(v, "response", ParseResponse)})
			},
			"board <board> reports <id> <status>": func(v *machinetest.Values) []string {
				return step(Reported{Board: v.Int("board"), BoardRequestID: v.Int64("id"), Status: status(v)})
			},
			"the limit passes": func(*machinetest.Values) []string { return step(WaitExpired{Job: newest}) },
			"the limit of job <job> passes": func(v *machinetest.Values) []string {
				return step(WaitExpired{Job: v.Int("job")})
			},
			"the archive is packed": func(*machinetest.Values) []string { return step(Packed{Job: newest}) },
			"the archive of job <job> is packed": func(v *machinetest.Values) []string {
				return step(Packed{Job: v.Int("job")})
			},
			"the archive cannot be packed": func(*machinetest.Values) []string {
				return step(Packed{Job: newest, Failure: UploadFailure})
			},
			"the attempt ends <status> for good": func(v *machinetest.Values) []string {
				return step(UploadEnded{Job: newest, Status: status(v), Permanent: true})
			},
			"the attempt ends <status>": func(v *machinetest.Values) []string {
				return step(UploadEnded{Job: newest, Status: status(v)})
			},
			"the attempt of job <job> ends <status>": func(v *machinetest.Values) []string {
				return step(UploadEnded{Job: v.Int("job"), Status: status(v)})
			},
			"the pause is over": func(*machinetest.Values) []string { return step(PauseEnded{Job: newest}) },
		}
	})
}

func actionLine(action Action) string {
	switch a := action.(type) {
	case *Queue:
		return fmt.Sprintf("job %d: queue", a.Job)
	case *Ask:
		return fmt.Sprintf("job %d: ask every board", a.Job)
	case *Reply:
		return fmt.Sprintf("job %d: reply %s", a.Job, a.Response)
	case *Publish:
		return fmt.Sprintf("publish %d %s", a.RequestID, a.Status)
	case *Wait:
		return fmt.Sprintf("job %d: wait for the boards", a.Job)
	case *Pack:
		return fmt.Sprintf("job %d: pack", a.Job)
	case *Upload:
		return fmt.Sprintf("job %d: upload", a.Job)
	case *Pause:
		return fmt.Sprintf("job %d: pause", a.Job)
	case *Drop:
		return fmt.Sprintf("job %d: drop", a.Job)
	}
	return fmt.Sprintf("unknown action %T", action)
}
