package satellite

import (
	"context"
	"encoding/json"

	"github.com/remotechargeport/remotechargeport/everest/schema"

	"go.uber.org/zap"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/handshake"
	"github.com/remotechargeport/remotechargeport/satellite/internal/route"
)

// collect subscribes every variable of the route table whose requirement is
// connected, and every error of this board. All of them share one queue: the
// journal numbers them in the order in which MQTT delivered them.
func (a *Agent) collect() {
	order := everest.OnQueue(a.module.NewQueue("journal"))
	for _, r := range a.table.Routes() {
		for _, required := range a.required(r.ID) {
			for _, variable := range r.Variables {
				required.Subscribe(variable.Name, func(_ context.Context, value json.RawMessage) {
					if route.IsFailedUpdate(r.ID, variable.Name, value) {
						a.loop.post(handshake.FirmwareFailed{})
					}
					a.record(Event{Interface: r.ID, Variable: variable.Name, Value: value, NewestOnly: variable.NewestOnly})
				}, order)
			}
		}
	}
	a.module.SubscribeGlobalErrors(func(_ context.Context, event everest.ErrorEvent) {
		a.recordError(event)
	}, order)
}

// record keeps an event for the controller. When there is no room, variables are
// given up that a newer value replaces, unless the controller is a legacy one;
// then the oldest: what is new says more about where the charge port stands.
func (a *Agent) record(event Event) {
	a.control.tell(event)
	a.journalLock.Lock()
	a.recordLocked(event)
}

// recordLocked is record for a caller that holds journalLock, and unlocks it.
func (a *Agent) recordLocked(event Event) {
	err := a.journal.Append(event)
	givenUp := 0
	if err != nil && text(&a.status.dialect) != handshake.Legacy.String() {
		if merged := a.journal.Merge(); merged > 0 {
			if a.status.givenUp.Add(uint64(merged)) == uint64(merged) {
				a.log.Warn("the journal is full: of some variables only the newest value is kept from here on", zap.Error(err))
			}
			err = a.journal.Append(event)
		}
	}
	for full := err; full != nil && a.journal.Len() > 0; full = a.journal.Append(event) {
		a.journal.GiveUpOldest()
		givenUp++
	}
	if a.appended != nil {
		close(a.appended)
		a.appended = nil
	}
	a.journalLock.Unlock()
	if err == nil {
		return
	}
	if a.status.givenUp.Add(uint64(givenUp)) == uint64(givenUp) {
		a.log.Error("no controller takes the events: the oldest are given up from here on", zap.Error(err))
	}
	a.loop.post(handshake.JournalFull{})
}

// answerOwn answers the commands of the agent's own implementations, which
// exist for their variables only.
func (a *Agent) answerOwn(definitions *schema.Definitions) {
	for implementation, commands := range map[string]map[string]json.RawMessage{
		route.Auth: {
			"set_connection_timeout":   nil,
			"set_master_pass_group_id": nil,
			"withdraw_authorization":   json.RawMessage(`"Rejected"`),
		},
		route.System: {
			"update_firmware":             json.RawMessage(`"Rejected"`),
			"allow_firmware_installation": nil,
			"upload_logs":                 json.RawMessage(`{"upload_logs_status":"Rejected"}`),
			"is_reset_allowed":            json.RawMessage(`false`),
			"reset":                       nil,
			"set_system_time":             json.RawMessage(`false`),
			"get_boot_reason":             json.RawMessage(`"Unknown"`),
		},
	} {
		declared, known := definitions.Interface(implementation)
		for command, answer := range commands {
			if known && declared.Commands[command] == nil {
				continue // an older EVerest
			}
			a.module.Provides(implementation).Handle(command, func(context.Context, everest.Args) (any, error) {
				return answer, nil
			})
		}
	}
}
