package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/firmware"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/logs"
	"github.com/remotechargeport/remotechargeport/aggregator/internal/release"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

// handleCommands registers the commands of the interface system that the station provides. A command or a variable that
// only a newer EVerest has belongs to the main board.
func (a *Aggregator) handleCommands() {
	s := a.station
	handlers := map[string]everest.CommandHandler{
		"update_firmware": a.firmware.handle,
		"allow_firmware_installation": func(context.Context, everest.Args) (any, error) {
			s.loop.post(func(ctx context.Context) { a.firmware.step(ctx, firmware.Allowed{}) })
			return nil, nil
		},
		"upload_logs":      a.logs.handle,
		"reset":            a.reset.handle,
		"is_reset_allowed": a.reset.allowed,
		"set_system_time": func(ctx context.Context, arguments everest.Args) (any, error) {
			s.backlog.heard()
			return s.everyBoard(ctx, "set_system_time", arguments), nil
		},
		"get_boot_reason": func(ctx context.Context, _ everest.Args) (any, error) {
			return s.bootReason.of(ctx, s.boards[0]), nil
		},
	}
	for command, handler := range handlers {
		s.provided.Handle(command, handler)
	}
	system, known := s.definitions.Interface("system")
	if !known {
		return
	}
	for name, command := range system.Commands {
		if handlers[name] == nil {
			s.provided.Handle(name, s.ofTheMainBoard(command))
		}
	}
	for variable := range system.Variables {
		if variable != "firmware_update_status" && variable != "log_status" {
			s.boards[0].system.Subscribe(variable, func(_ context.Context, value json.RawMessage) { s.publish(variable, value) })
		}
	}
}

// ofTheMainBoard returns a handler that passes a command to the main board. A command is refused in the words of its
// definition where the main board does not answer it: a caller in an old EVerest would wait for 300 s and then end.
func (s *station) ofTheMainBoard(command *schema.Command) everest.CommandHandler {
	return func(ctx context.Context, arguments everest.Args) (any, error) {
		var result json.RawMessage
		err := s.boards[0].call(ctx, command.Name, arguments, &result)
		if err == nil {
			return result, nil
		}
		if refusal, can := release.Refusal(s.definitions, command); can {
			return refusal, nil
		}
		return nil, err
	}
}

// everyBoard calls a command of all boards at once, and reports whether each returned true. A board without a reply
// counts as one that returned false.
func (s *station) everyBoard(ctx context.Context, command string, arguments everest.Args) bool {
	replies := make([]bool, len(s.boards))
	var calls sync.WaitGroup
	for _, b := range s.boards {
		calls.Go(func() {
			if b.call(ctx, command, arguments, &replies[b.index]) != nil {
				replies[b.index] = false
			}
		})
	}
	calls.Wait()
	all := true
	for _, b := range s.boards {
		if !replies[b.index] {
			b.log.Info("a board refused a command of the station", zap.String("command", command))
			all = false
		}
	}
	return all
}

// report is the value of firmware_update_status and log_status. Each has one of the two statuses.
type report struct {
	RequestID int64  `json:"request_id"`
	Firmware  string `json:"firmware_update_status,omitempty"`
	Log       string `json:"log_status,omitempty"`
}

// subscribe passes the boards' reports to the loop.
func (a *Aggregator) subscribe() {
	loop := a.station.loop
	for _, b := range a.station.boards {
		subscribe(a.status, b, "firmware_update_status", firmware.ParseStatus, func(r report) string { return r.Firmware },
			func(id int64, status firmware.Status) {
				b.log.Debug("a board's firmware status", zap.Int64("request_id", id), zap.Stringer("status", status))
				loop.post(func(ctx context.Context) {
					a.firmware.step(ctx, firmware.Reported{Board: b.index, RequestID: id, Status: status})
				})
			})
		subscribe(a.status, b, "log_status", logs.ParseStatus, func(r report) string { return r.Log },
			func(id int64, status logs.Status) {
				b.log.Debug("a board's log status", zap.Int64("request_id", id), zap.Stringer("status", status))
				loop.post(func(ctx context.Context) { a.logs.reported(ctx, b.index, id, status) })
			})
	}
}

// subscribe reads one variable of a board's system.
func subscribe[S interface{ Name() string }](socket *statusSocket, b *board, variable string, parse func(string) (S, bool), field func(report) string, reported func(id int64, status S)) {
	b.system.Subscribe(variable, func(_ context.Context, value json.RawMessage) {
		var r report
		err := json.Unmarshal(value, &r)
		status, known := parse(field(r))
		if err == nil && !known {
			err = fmt.Errorf("aggregator: unknown %s %q", variable, field(r))
		}
		if err != nil {
			b.log.Warn("a board's report cannot be read", zap.Error(err))
			return
		}
		socket.reported(b, variable, value, status.Name())
		socket.tell(b.name, variable, r)
		reported(r.RequestID, status)
	})
}
