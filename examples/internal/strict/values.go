package strict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The types of this file are read as EVerest's generated C++ reads them: required members must be there, and an
// enumeration in a list is an integer, the index of its value. A text there is an error.

// token is a ProvidedIdToken.
type token struct {
	raw map[string]json.RawMessage

	ID struct {
		Value string `json:"value"`
		Type  string `json:"type"`
	} `json:"id_token"`
	AuthorizationType string `json:"authorization_type"`
	// Connectors is nil for a token that does not say where it is meant.
	Connectors   []int `json:"connectors"`
	Prevalidated bool  `json:"prevalidated"`
}

func parseToken(text json.RawMessage) (token, error) {
	var t token
	if err := strictly(text, &t, "id_token", "authorization_type"); err != nil {
		return token{}, fmt.Errorf("provided token: %w", err)
	}
	return t, json.Unmarshal(text, &t.raw)
}

// at returns the token with the EVSE that was chosen for it.
func (t token) at(evse int) json.RawMessage {
	t.raw["connectors"] = fmt.Appendf(nil, "[%d]", evse)
	text, err := json.Marshal(t.raw)
	if err != nil {
		return nil
	}
	return text
}

func (t token) is(value string) bool { return strings.EqualFold(t.ID.Value, value) }

// validation is a ValidationResult.
type validation struct {
	Status  string `json:"authorization_status"`
	Allowed []int  `json:"allowed_energy_transfer_modes"`
	Tariffs []any  `json:"tariff_messages"`
	EVSEs   []int  `json:"evse_ids"`
}

func parseValidation(text json.RawMessage) (validation, error) {
	var v validation
	if err := strictly(text, &v, "authorization_status", "tariff_messages"); err != nil {
		return validation{}, fmt.Errorf("validation result: %w", err)
	}
	if slices.ContainsFunc(v.Allowed, func(index int) bool { return index < 0 || index >= energyTransferModes }) {
		return validation{}, fmt.Errorf("validation result: allowed_energy_transfer_modes %v: no such mode", v.Allowed)
	}
	return v, nil
}

// energyTransferModes is how many values the enumeration EnergyTransferMode has.
const energyTransferModes = 17

// sessionEvent is a SessionEvent.
type sessionEvent struct {
	UUID    string `json:"uuid"`
	Event   string `json:"event"`
	Started *struct {
		Reason string `json:"reason"`
	} `json:"session_started"`
	Transaction *struct {
		Token json.RawMessage `json:"id_tag"`
	} `json:"transaction_started"`
	Finished *struct {
		Reason string          `json:"reason"`
		Meter  json.RawMessage `json:"meter_value"`
	} `json:"transaction_finished"`
	Paused *struct {
		Reasons []int `json:"reasons"`
	} `json:"charging_paused_evse"`
}

func parseSessionEvent(text json.RawMessage) (sessionEvent, error) {
	var e sessionEvent
	if err := strictly(text, &e, "uuid", "event", "timestamp"); err != nil {
		return sessionEvent{}, fmt.Errorf("session event: %w", err)
	}
	return e, nil
}

// strictly decodes an object that must have the required members.
func strictly(text json.RawMessage, into any, required ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	for _, name := range required {
		if _, there := members[name]; !there {
			return fmt.Errorf("member %s is missing", name)
		}
	}
	return json.Unmarshal(text, into)
}
