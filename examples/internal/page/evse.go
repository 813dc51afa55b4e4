package page

import (
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/verdict"
)

// EVSE is an EVSE as the page shows it.
type EVSE struct {
	// Name is its number in the station, or the id of its module.
	Name  string            `json:"name"`
	State control.EVSEState `json:"state"`
	// Word is State with the state before, in the page's words.
	Word  string    `json:"word"`
	Since time.Time `json:"since"`
	// Session, Energy, Power, Limit and Token are empty where there is none, or it is not known.
	Session string `json:"session"`
	Energy  string `json:"energy"`
	Power   string `json:"power"`
	Limit   string `json:"limit"`
	Token   string `json:"token"`
}

// evseOf returns the EVSE of a module, nil where it has none. What a module said before lost, when it stopped to answer, is
// no fact any more. lost is zero while it answers.
func evseOf(status *control.Status, now, lost time.Time) *EVSE {
	if status.EVSE == nil {
		return nil
	}
	if !lost.IsZero() {
		evse := control.EVSE{Number: status.EVSE.Number, State: control.EVSEUnknown, Since: lost, LastState: status.EVSE.State}
		if evse.LastState == control.EVSEUnknown {
			evse.LastState = status.EVSE.LastState
		}
		status = &control.Status{ModuleID: status.ModuleID, EVSE: &evse}
	}
	told := verdict.Describe(status, now)
	return &EVSE{
		Name: told.Name, State: status.EVSE.State, Word: told.State, Since: status.EVSE.Since,
		Session: told.Session, Energy: told.Energy, Power: told.Power, Limit: told.Limit, Token: told.Token,
	}
}
