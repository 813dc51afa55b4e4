package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// severity is how much attention an active error needs. One of severity High is never green.
var severity = map[string]Level{"High": Down, "Medium": Trouble, "Low": Notice}

// ofEVSE rates the EVSE of a module.
func (v *Verdict) ofEVSE(status *control.Status, now time.Time) {
	evse := status.EVSE
	switch {
	case evse.State == control.EVSEUnknown && evse.OutOfService != "" && status.State != parted:
		v.Level = Down
	case evse.State == control.EVSEUnknown && status.Health == control.Healthy:
		v.notReady(now.Sub(evse.Since))
	case evse.State == control.EVSEUnavailable:
		v.Add(Down, "Out of service for %s: %s.", Span(now.Sub(evse.Since)), DisabledBy(evse))
	}
	// That an EVSE does not charge is said last: the other errors are the cause.
	errors := slices.Clone(evse.Errors)
	slices.SortStableFunc(errors, func(one, other control.EVSEError) int {
		return cmp.Compare(rank(one), rank(other))
	})
	for _, e := range errors {
		if evse.OutOfService != "" && strings.Contains(e.Text, evse.OutOfService) {
			continue // the module's own: it says the same as its problem
		}
		level, sentence := OfError(e)
		v.Add(level, "%s", sentence)
	}
	if evse.ErrorsOmitted > 0 {
		v.Add(Notice, "%d further errors are active: satctl watch shows each as it comes.", evse.ErrorsOmitted)
	}
}

// notReady rates an EVSE that has not said anything since its link was made.
func (v *Verdict) notReady(waited time.Duration) {
	if waited > StartLimit {
		v.Add(Down, "The EVSE has not become ready for %s, though its board is linked: see the log of EvseManager there.", Span(waited))
		return
	}
	v.Add(Notice, "The EVSE has not become ready yet.")
}

func rank(e control.EVSEError) int {
	if e.Type == inoperative {
		return 1
	}
	return 0
}

// DisabledBy returns who has disabled an EVSE, and what to do, without a full stop.
func DisabledBy(evse *control.EVSE) string {
	return cmp.Or(disabled[evse.DisabledBy], "somebody has disabled it. Its board's log says who")
}

// OfError returns the level of an active error, and what it means as a sentence with a remedy.
func OfError(e control.EVSEError) (Level, string) {
	level, known := severity[e.Severity]
	if !known {
		level = Down
	}
	return level, describe(e)
}

// disabled is who has disabled an EVSE, and what to do.
var disabled = map[string]string{
	"CSMS":              "the backend (CSMS) has made it inoperative. Make it operative there",
	"LocalAPI":          "a program of the station has disabled it over the local interface. Enable it there",
	"LocalKeyLock":      "it is locked with the key at the EVSE. Unlock it there",
	"RemoteKeyLock":     "it is locked by remote key. Unlock it there",
	"ServiceTechnician": "a service technician has disabled it. Ask the technician, then enable it",
	"MobileApp":         "it was disabled with the app. Enable it there",
	"FirmwareUpdate":    "firmware is being installed. It comes back by itself",
}

// EVSE is an EVSE in a person's words.
type EVSE struct {
	// Name is its number, or the id of its module.
	Name  string
	State string
	// Session, Energy, Power and Limit are empty where there is none, or it is not known.
	Session, Energy, Power, Limit, Token string
}

// Describe returns the EVSE of a module, in the words and units of tables.
func Describe(status *control.Status, now time.Time) EVSE {
	evse := status.EVSE
	told := EVSE{Name: status.ModuleID, State: string(evse.State), Token: evse.TokenKind}
	if evse.Number > 0 {
		told.Name = fmt.Sprint(evse.Number)
	}
	if evse.LastState != "" {
		told.State += ", was " + string(evse.LastState)
	}
	if evse.SessionSince != nil {
		told.Session = Span(max(0, now.Sub(*evse.SessionSince)))
	}
	if evse.SessionEnergy != nil {
		told.Energy = kilo(*evse.SessionEnergy, "kWh", 2)
	}
	if evse.Power != nil {
		told.Power = kilo(*evse.Power, "kW", 1)
	}
	if limit := evse.Limit; limit != nil {
		var parts []string
		if limit.Current != nil {
			text := fmt.Sprintf("%.0f A", *limit.Current)
			if limit.Phases > 0 {
				text += fmt.Sprintf(" × %d", limit.Phases)
			}
			parts = append(parts, text)
		}
		if limit.Power != nil {
			parts = append(parts, kilo(*limit.Power, "kW", 1))
		}
		told.Limit = strings.Join(parts, ", ")
	}
	return told
}

func kilo(value float64, unit string, digits int) string {
	return fmt.Sprintf("%.*f %s", digits, value/1000, unit)
}
