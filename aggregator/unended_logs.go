package aggregator

import (
	"context"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
)

// unendedLogs publishes log_status, and tells the backend the end of the requests that a restart interrupts. The loop calls
// its methods.
type unendedLogs struct {
	*station
	state    *stateFile // nil without state_dir
	requests *logs.Unended
}

// newUnendedLogs ends the requests that a restart has interrupted. Their statuses leave when the boards are ready.
func newUnendedLogs(s *station) *unendedLogs {
	u := &unendedLogs{station: s, requests: &logs.Unended{}}
	if s.parameters.StateDir == "" {
		return u
	}
	u.state = &stateFile{filepath.Join(s.parameters.StateDir, s.module.ID()+".logs.json")}
	var saved []logs.SavedRequest
	if _, err := u.state.load(&saved); err != nil {
		s.log.Error("the backend may wait for the end of a log upload that a restart interrupted", zap.Error(err))
	}
	for _, request := range saved {
		s.log.Warn("a restart has interrupted an upload of log files", zap.String("type", request.Type), zap.Int64("request_id", request.RequestID))
	}
	var steps []logs.Outgoing
	u.requests, steps = logs.RestoreUnended(saved)
	u.carryOut(steps)
	return u
}

// accept has reply called when the request is saved.
func (u *unendedLogs) accept(kind logType, id int64, reply func()) {
	u.carryOut(u.requests.Accept(kind.name, id))
	u.outbox.post(func(context.Context) { reply() })
}

func (u *unendedLogs) publish(kind logType, id int64, status logs.Status) {
	u.carryOut(u.requests.Publish(kind.name, id, status))
}

func (u *unendedLogs) carryOut(steps []logs.Outgoing) {
	for _, step := range steps {
		switch {
		case step.Status != 0:
			u.log.Info("log status of the station", zap.Int64("request_id", step.RequestID), zap.Stringer("status", step.Status))
			u.station.publish("log_status", report{RequestID: step.RequestID, Log: u.logWord(step.Status.Name())})
		case u.state != nil:
			u.outbox.post(func(context.Context) { u.save(step.Requests) })
		}
	}
}

func (u *unendedLogs) save(requests []logs.SavedRequest) {
	save := u.state.remove
	if len(requests) > 0 {
		save = func() error { return u.state.save(requests) }
	}
	if err := save(); err != nil {
		u.log.Error("the end of a log upload would be lost by a reboot; set state_dir to a directory that can be written", zap.Error(err))
	}
}
