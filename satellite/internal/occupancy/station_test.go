package occupancy

import (
	"encoding/json"
	"fmt"
)

// transaction is a transaction as OCPP knows it.
type transaction struct {
	id, tag string
	meter   float64
}

// station stands in for OCPP, Auth and EnergyNode of the main board. As the real ones it takes events by connector, and
// compares no uuid.
type station struct {
	log func(string, ...any)
	// broken is the first promise that did not hold.
	broken string

	connected bool     // OCPP has started
	queued    []func() // what OCPP does once it has started
	resuming  map[string]bool
	open      *transaction // of the connector; before the start, of the database
	occupied  bool         // Auth
	session   string       // of the newest SessionStarted
	faulted   bool
	disabled  bool
	demand    bool // EnergyNode's last request
	started   map[string]int
	ended     map[string]int
	// finished are the sessions that have ended.
	finished map[string]bool
}

func (s *station) fail(format string, args ...any) {
	if s.broken == "" {
		s.broken = fmt.Sprintf(format, args...)
	}
}

type eventText struct {
	Event, UUID, Timestamp string
	Transaction            *struct {
		Meter struct {
			Energy struct{ Total float64 } `json:"energy_Wh_import"`
		} `json:"meter_value"`
		Reason string
		Tag    *struct {
			Token struct{ Value string } `json:"id_token"`
		} `json:"id_tag"`
	} `json:"transaction_finished"`
	Started *struct {
		Tag struct {
			Token struct{ Value string } `json:"id_token"`
		} `json:"id_tag"`
	} `json:"transaction_started"`
}

// tag returns the token of the end.
func (e eventText) tag() string {
	if e.Transaction == nil || e.Transaction.Tag == nil {
		return "no id_tag"
	}
	return e.Transaction.Tag.Token.Value
}

// publish takes a variable. meant is the session that the speaker means.
func (s *station) publish(variable string, value json.RawMessage, meant string) {
	switch variable {
	case FlowRequest:
		s.request(value)
	case readyVariable, waitingVariable:
		if string(value) == "true" {
			s.connect()
		}
	case sessionEventVariable:
		var event eventText
		if err := json.Unmarshal(value, &event); err != nil {
			s.fail("%s: %v", value, err)
			return
		}
		s.event(event, meant)
	}
}

func (s *station) request(value json.RawMessage) {
	var request struct {
		Import []struct {
			Limits struct {
				Current struct{ Value float64 } `json:"ac_max_current_A"`
			} `json:"limits_to_root"`
		} `json:"schedule_import"`
	}
	if err := json.Unmarshal(value, &request); err != nil {
		s.fail("%s: %v", value, err)
		return
	}
	if demand := request.Import[0].Limits.Current.Value > 0; demand != s.demand {
		s.demand = demand
		s.log("EnergyNode: demand %v", demand)
	}
}

// connect starts OCPP, which ends what nobody resumed.
func (s *station) connect() {
	if s.connected {
		return
	}
	s.connected = true
	s.log("OCPP: BootNotification")
	if s.open != nil && !s.resuming[s.open.id] {
		s.stop(s.open.id, fmt.Sprintf("%v Wh of the database, PowerLoss", s.open.meter))
	}
	for _, event := range s.queued {
		event()
	}
	s.queued = nil
}

// ocpp does something once OCPP has started.
func (s *station) ocpp(do func()) {
	if s.connected {
		do()
		return
	}
	s.queued = append(s.queued, do)
}

func (s *station) stop(meant, with string) {
	s.log("OCPP: StopTransaction(%s, %s)", s.open.id, with)
	if meant != s.open.id {
		s.fail("the transaction of %s is stopped with the values of %s", s.open.id, meant)
	}
	if s.ended[s.open.id]++; s.ended[s.open.id] > 1 {
		s.fail("the transaction of %s ends twice", s.open.id)
	}
	s.open = nil
}

func (s *station) event(event eventText, meant string) {
	over := event.UUID != "" && s.finished[event.UUID] && scopes[event.Event] != ofEVSE
	switch event.Event {
	case "SessionResumed":
		s.resuming[event.UUID] = true
	case "SessionStarted":
		if s.occupied && s.session != meant {
			s.fail("session %s begins while Auth has %s", meant, s.session)
		}
		s.session = meant
	case "TransactionStarted":
		s.session, s.occupied = meant, true
		s.ocpp(func() {
			if s.open != nil {
				s.fail("the transaction of %s begins while OCPP has that of %s", meant, s.open.id)
			}
			if s.started[meant]++; s.started[meant] > 1 {
				s.fail("the transaction of %s begins twice", meant)
			}
			s.open = &transaction{id: meant, tag: event.Started.Tag.Token.Value}
			s.log("OCPP: StartTransaction(%s, %s)", meant, s.open.tag)
		})
	case "TransactionFinished":
		s.ocpp(func() {
			if s.open == nil {
				s.log("OCPP: trying to stop a transaction that is unknown")
				return
			}
			s.stop(meant, fmt.Sprintf("%v Wh, %s, %s", event.Transaction.Meter.Energy.Total, event.Transaction.Reason, event.tag()))
		})
	case "SessionFinished":
		if s.session != "" && s.session != meant {
			s.fail("session %s is finished with the event of %s", s.session, meant)
		}
		if s.occupied {
			s.log("Auth: available")
		}
		s.occupied, s.session = false, ""
		s.finished[meant] = true
	case "Disabled":
		s.disabled = true
		if s.open != nil {
			s.fail("OCPP forgets that the connector of %s charges", s.open.id)
		}
	case "Enabled":
		s.disabled = false
	}
	if over {
		s.fail("%s of %s comes after its end", event.Event, event.UUID)
	}
}
