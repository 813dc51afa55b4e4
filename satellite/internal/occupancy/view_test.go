package occupancy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// looked is a view whose time goes on by a minute with each step.
type looked struct {
	View
	now time.Time
}

func newLooked() *looked {
	l := &looked{now: time.Date(2026, 11, 26, 19, 0, 0, 0, time.UTC)}
	l.Number = 2
	l.Link(false, l.now)
	return l
}

func (l *looked) step() time.Time {
	l.now = l.now.Add(time.Minute)
	return l.now
}

// hears publishes a real event by its name, or a session event of the last session.
func (l *looked) hears(name string) {
	value, known := realEvents()[name]
	switch {
	case name == "ready":
		l.Published(readyVariable, json.RawMessage("true"), l.step())
		return
	case !known:
		value = fmt.Sprintf(`{"event":%q,"timestamp":"2026-11-26T18:40:00.000Z","uuid":"a"}`, name)
	case name == "powermeter" || name == "enforced_limits":
		l.Published(name, json.RawMessage(value), l.step())
		return
	}
	l.Published(sessionEventVariable, json.RawMessage(value), l.step())
}

func (l *looked) fails(severities ...string) {
	var active []control.EVSEError
	for i, severity := range severities {
		active = append(active, control.EVSEError{Type: fmt.Sprintf("vendor/E%d", i), Severity: severity, Since: l.now})
	}
	l.Errors(active, l.step())
}

func TestViewSaysTheStateInOCPPsWords(t *testing.T) {
	l := newLooked()
	for i, row := range []struct {
		name string
		do   func()
		want control.EVSEState
	}{
		{"nothing", func() {}, "Unknown"},
		{"linked", func() { l.Link(true, l.step()) }, "Unknown"},
		{"ready", func() { l.hears("ready") }, "Available"},
		{"a reservation", func() { l.hears("ReservationStart") }, "Reserved"},
		{"a car", func() { l.hears("SessionStarted") }, "Preparing"},
		{"no token yet", func() { l.hears("AuthRequired") }, "Preparing"},
		{"a token", func() { l.hears("Authorized") }, "Preparing"},
		{"transaction", func() { l.hears("TransactionStarted") }, "Preparing"},
		{"charging", func() { l.hears("ChargingStarted") }, "Charging"},
		{"phases", func() { l.hears("SwitchingPhases") }, "Charging"},
		{"no energy", func() { l.hears("ChargingPausedEVSE") }, "SuspendedEVSE"},
		{"the car pauses", func() { l.hears("ChargingPausedEV") }, "SuspendedEV"},
		{"charging again", func() { l.hears("ChargingStarted") }, "Charging"},
		{"an error of severity Low", func() { l.fails("Low", "Medium") }, "Charging"},
		{"one of severity High", func() { l.fails("Low", "High") }, "Faulted"},
		{"cable cut", func() { l.Link(false, l.step()) }, "Unknown"},
		{"back", func() { l.Link(true, l.step()) }, "Faulted"},
		{"cleared", func() { l.fails() }, "Charging"},
		{"the end", func() { l.hears("StoppingCharging") }, "Finishing"},
		{"transaction's end", func() { l.hears("TransactionFinished") }, "Finishing"},
		{"disabled within a session", func() { l.hears("Disabled") }, "Unavailable"},
		{"enabled", func() { l.hears("Enabled") }, "Finishing"},
		{"the car has gone", func() { l.hears("SessionFinished") }, "Reserved"},
		{"reservation's end", func() { l.hears("ReservationEnd") }, "Available"},
		{"an unknown event", func() { l.hears("Sung") }, "Available"},
		{"before 2026.02", func() { l.hears("WaitingForEnergy") }, "SuspendedEVSE"},
		{"and after", func() { l.hears("ChargingResumed") }, "Charging"},
		{"unplugged", func() { l.hears("SessionFinished") }, "Available"},
		{"resumed", func() { l.hears("SessionResumed") }, "Charging"},
	} {
		before := l.Status(l.now)
		row.do()
		got := l.Status(l.now)
		since := before.Since
		if before.State != row.want {
			since = l.now
		}
		if got.State != row.want || !got.Since.Equal(since) {
			t.Fatalf("%d, %s: %s since %v, want %s since %v", i, row.name, got.State, got.Since, row.want, since)
		}
	}
}

func TestViewShowsTheSessionWithoutItsToken(t *testing.T) {
	l := newLooked()
	l.Link(true, l.now)
	l.hears("ready")
	l.hears("SessionStarted")
	began := l.now
	l.hears("TransactionStarted")
	l.hears("ChargingStarted")
	l.hears("enforced_limits")
	meter := `{"energy_Wh_import":{"total":1250.5},"power_W":{"total":10491},"timestamp":"2026-11-26T18:40:30Z"}`
	l.Published(meterVariable, json.RawMessage(meter), l.step())
	l.fails("Low", "High", "Medium")
	got := l.Status(l.now)
	want := &control.EVSE{
		Number: 2, State: "Faulted", Since: l.now, SessionSince: &began, SessionEnergy: new(1250.5), TokenKind: "RFID", Power: new(10491.0),
		Limit: &control.EVSELimit{Current: new(0.0)},
		Errors: []control.EVSEError{
			{Type: "vendor/E1", Severity: "High", Since: l.now.Add(-time.Minute)},
			{Type: "vendor/E2", Severity: "Medium", Since: l.now.Add(-time.Minute)},
			{Type: "vendor/E0", Severity: "Low", Since: l.now.Add(-time.Minute)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "PERSIST1") {
		t.Errorf("the status names the token: %s, %v", text, err)
	}

	l.Link(false, l.step())
	got = l.Status(l.now)
	if got.LastState != "Faulted" || got.Power != nil || got.Limit != nil || got.SessionSince == nil {
		t.Errorf("without a link: %+v", got)
	}
	l.Link(true, l.step())
	l.hears("SessionFinished")
	if got := l.Status(l.now); got.SessionSince != nil || got.SessionEnergy != nil || got.TokenKind != "" || got.LastState != "" {
		t.Errorf("after the session: %+v", got)
	}
}

// A satellite that lies puts a token where only kinds belong, and numbers that are none.
func TestViewShowsOnlyKnownKinds(t *testing.T) {
	l := newLooked()
	l.Link(true, l.now)
	l.hears("ready")
	l.Published(sessionEventVariable, json.RawMessage(`{"event":"TransactionStarted","uuid":"a","timestamp":"x","transaction_started":{"id_tag":{"authorization_type":"04A1B2C3"}}}`), l.now)
	l.Published(sessionEventVariable, json.RawMessage(`{"event":"Disabled","uuid":"","timestamp":"x","source":{"enable_source":"04A1B2C3"}}`), l.now)
	l.Published(meterVariable, json.RawMessage(`{"energy_Wh_import":{"total":1e400},"power_W":{"total":NaN}}`), l.now)
	l.Published(limitsVariable, json.RawMessage(`{"limits_root_side":{"ac_max_current_A":{"value":16},"ac_max_phase_count":{"value":1e9}}}`), l.now)
	var many []control.EVSEError
	for i := range 100 {
		many = append(many, control.EVSEError{Type: strings.Repeat("t", 1000), SubType: fmt.Sprint(i), Severity: "Low", Text: strings.Repeat("ä", 1000)})
	}
	l.Errors(many, l.now)
	got := l.Status(l.now)
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "04A1B2C3") {
		t.Errorf("%s, %v", text, err)
	}
	if got.State != "Unavailable" || got.Power != nil || got.SessionEnergy != nil || got.Limit.Phases != 0 || *got.Limit.Current != 16 {
		t.Errorf("status %+v", got)
	}
	if len(got.Errors) != maxShown || got.ErrorsOmitted != 100-maxShown || len(got.Errors[0].Text) > maxText+3 || len(text) > 64<<10 {
		t.Errorf("%d errors in %d bytes, %d omitted", len(got.Errors), len(text), got.ErrorsOmitted)
	}
}

func TestViewFollowsAClockThatIsSet(t *testing.T) {
	now := time.Now()
	at := now.Add(-time.Hour)
	set := now.Round(0).Add(24 * time.Hour) // the wall clock alone
	if got := ByClock(at, now); !got.Equal(at.UTC().Truncate(time.Millisecond)) {
		t.Errorf("%v, want %v", got, at)
	}
	if got := ByClock(time.Time{}, set); !got.IsZero() {
		t.Errorf("no time is %v", got)
	}
}
