package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// charging is the status of a controller whose EVSE charges.
func charging() *control.Status {
	return &control.Status{
		Module: "SatelliteController", ModuleID: "connector_2", Version: "v1.4.0", State: "Working", Health: control.Healthy, Started: noon.Add(-time.Hour),
		Link: &control.Link{Role: "controller", Connected: true},
		Peer: &control.Peer{Status: &control.Status{Version: "v1.4.0", Health: control.Healthy, Link: &control.Link{Role: "agent"}}},
		EVSE: &control.EVSE{
			Number: 2, State: control.EVSECharging, Since: noon.Add(-10 * time.Minute), SessionSince: new(noon.Add(-12 * time.Minute)),
			SessionEnergy: new(1834.0), Power: new(10491.0), TokenKind: "RFID",
			Limit: &control.EVSELimit{Current: new(16.0), Phases: 3}, Errors: []control.EVSEError{},
		},
	}
}

// station is the status of an aggregator with one satellite.
func station(change func(*control.Board)) *control.Status {
	board := control.Board{Index: 1, Name: "1_connector_2", Connected: true, Version: "v1.4.0"}
	change(&board)
	return &control.Status{Module: "SystemAggregator", Version: "v1.4.0", Health: control.Healthy, Station: &control.Station{Boards: []control.Board{board}}}
}

func fails(severity, kind, text string) func(*control.Status) {
	return func(s *control.Status) {
		s.EVSE.Errors = append(s.EVSE.Errors, control.EVSEError{Type: kind, Severity: severity, Text: text})
	}
}

func TestVerdictOfEachKindOfFault(t *testing.T) {
	lost := func(s *control.Status) {
		s.Health, s.State, s.Link.Connected = control.Degraded, "OutOfService", false
		s.Problem = "The satellite is lost. Nothing answers at 10.0.0.2:4129: check power."
		s.EVSE.State, s.EVSE.LastState, s.EVSE.OutOfService = control.EVSEUnknown, control.EVSECharging, "no link to the satellite at 10.0.0.2:4129"
		s.EVSE.Errors = []control.EVSEError{{Type: inoperative, Severity: "High", Text: "connector_2: no link to the satellite at 10.0.0.2:4129"}}
	}
	for name, test := range map[string]struct {
		change func(*control.Status)
		level  Level
		want   []string // the begin of each reason
	}{
		"charging": {func(*control.Status) {}, Working, []string{}},
		"welded contactor": {func(s *control.Status) {
			fails("High", inoperative, "caused by the contactor")(s)
			fails("High", "evse_board_support/MREC17EVSEContactorFault", "feedback does not match.")(s)
			s.EVSE.State = control.EVSEFaulted
		}, Down, []string{"The contactor does not switch as it should: it may be welded: feedback does not match. Switch the EVSE off", "It does not charge: caused by the contactor."}},
		"a High error of a vendor":  {fails("High", "vendor/Strange", ""), Down, []string{"An error of severity High is active. The manual"}},
		"an error without severity": {fails("", "vendor/Strange", ""), Down, []string{"An error of severity unknown is active."}},
		"an error without message":  {fails("High", "vendor/Strange", "no message provided"), Down, []string{"An error of severity High is active. The manual"}},
		"medium":                    {fails("Medium", "evse_board_support/MREC18CableOverTempDerate", ""), Trouble, []string{"The cable is hot: the current is reduced. Look for a worn plug"}},
		"low":                       {fails("Low", "evse_board_support/VendorWarning", "fan"), Notice, []string{"An error of severity Low is active: fan."}},
		"dead board":                {lost, Down, []string{"The satellite is lost. Nothing answers at"}},
		"dead board with an error": {func(s *control.Status) {
			lost(s)
			fails("Medium", "vendor/Strange", "")(s)
		}, Down, []string{"The satellite is lost.", "An error of severity Medium"}},
		"a cut of seconds": {func(s *control.Status) {
			s.Health, s.State, s.Problem, s.EVSE.State = control.Degraded, "Resuming", "The link is lost.", control.EVSEUnknown
		}, Trouble, []string{"The link is lost."}},
		"reset on purpose": {func(s *control.Status) {
			lost(s)
			s.State, s.Problem = "Parted", "The satellite has left as expected."
		}, Trouble, []string{"The satellite has left as expected."}},
		"disabled by the backend": {func(s *control.Status) {
			s.EVSE.State, s.EVSE.DisabledBy = control.EVSEUnavailable, "CSMS"
		}, Down, []string{"Out of service for 10 min: the backend (CSMS) has made it inoperative. Make it operative there."}},
		"disabled by nobody":        {func(s *control.Status) { s.EVSE.State = control.EVSEUnavailable }, Down, []string{"Out of service for 10 min: somebody"}},
		"EvseManager does not come": {func(s *control.Status) { s.EVSE.State = control.EVSEUnknown }, Down, []string{"The EVSE has not become ready for 10 min"}},
		"EvseManager comes": {func(s *control.Status) {
			s.EVSE.State, s.EVSE.Since = control.EVSEUnknown, noon
		}, Notice, []string{"The EVSE has not become ready yet."}},
		"MTU hole":             {func(s *control.Status) { s.Link.Path = "Large ones do not arrive." }, Trouble, []string{"Large ones do not arrive."}},
		"MTU hole seen behind": {func(s *control.Status) { s.Peer.Status.Link.Path = "Large ones do not arrive." }, Trouble, []string{"Large ones do not arrive."}},
		"mixed versions":       {func(s *control.Status) { s.Peer.Status.Version = "v1.3.0" }, Trouble, []string{"Mixed versions: the other board runs v1.3.0, this board v1.4.0. Cars are charged, but faults that"}},
		"legacy":               {func(s *control.Status) { s.Link.Dialect = "legacy" }, Notice, []string{"The link speaks legacy,"}},
		"mixed firmware":       {func(s *control.Status) { *s = *station(func(b *control.Board) { b.Mixed, b.MixedRequest = true, 7 }) }, Trouble, []string{"Board 1_connector_2 has installed the firmware of request 7,"}},
		"two keys": {func(s *control.Status) {
			s.Link.KeyConflict, s.Peer.Status.Link.KeyConflict = "Two boards have the serial number SAT01.", "This board trusts several keys of MAIN01."
		}, Notice, []string{"Two boards have the serial number SAT01.", "On the other board: This board trusts several keys of MAIN01."}},
		"the other module":  {func(s *control.Status) { s.Peer.Status.Health = "starting" }, Trouble, []string{"The other board's module is starting."}},
		"many errors":       {func(s *control.Status) { s.EVSE.ErrorsOmitted = 3 }, Notice, []string{"3 further errors"}},
		"no board for long": {func(s *control.Status) { s.Health, s.Problem = control.Starting, "Nobody is there." }, Down, []string{"Not in service 1 h 0 min after its start. Nobody is there."}},
		"wrong trust": {func(s *control.Status) {
			s.Health, s.Started, s.Problem, s.Link.PeersRejected = control.Starting, noon, "The satellite does not trust this board's key.", 1
		}, Down, []string{"Not in service. The satellite does not trust"}},
		"rejected at the satellite": {func(s *control.Status) {
			s.Health, s.Started, s.Link.Role, s.Link.PeersRejected, s.EVSE = control.Starting, noon, "agent", 1, nil
		}, Trouble, []string{"Not in service. It waits"}},
		"no board yet": {func(s *control.Status) { s.Health, s.Started = control.Starting, noon }, Notice, []string{"Starting. It waits for the other board."}},
		"board of another version": {func(s *control.Status) { *s = *station(func(b *control.Board) { b.Version = "v1.3.0" }) }, Trouble,
			[]string{"Mixed versions: board 1_connector_2 runs v1.3.0, this board v1.4.0."}},
		"refused update": {func(s *control.Status) { *s = *station(func(b *control.Board) { b.FirmwareRefusal = "Rejected" }) }, Notice, []string{"Board 1_connector_2 refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			status := charging()
			test.change(status)
			got := Of(status, noon)
			same := slices.EqualFunc(got.Reasons, test.want, strings.HasPrefix)
			if got.Level != test.level || !same {
				t.Errorf("%v %q, want %v %q", got.Level, got.Reasons, test.level, test.want)
			}
		})
	}
}

func TestAnEVSEInWords(t *testing.T) {
	status := charging()
	want := EVSE{Name: "2", State: "Charging", Session: "12 min", Energy: "1.83 kWh", Power: "10.5 kW", Limit: "16 A × 3", Token: "RFID"}
	if diff := cmp.Diff(want, Describe(status, noon)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	status.EVSE = &control.EVSE{State: control.EVSEUnknown, LastState: control.EVSECharging, Limit: &control.EVSELimit{Power: new(11000.0)}}
	want = EVSE{Name: "connector_2", State: "Unknown, was Charging", Limit: "11.0 kW"}
	if diff := cmp.Diff(want, Describe(status, noon)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Every type of error that EVerest's interfaces declare is a sentence, but those that only the vendor can explain.
func TestEveryErrorOfEVerestIsASentence(t *testing.T) {
	definitions, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	unexplained := map[string]bool{"VendorError": true, "VendorWarning": true, "Internal": true, "EnergyManagement": true, "MREC9AuthorizationTimeout": true}
	known := 0
	for _, name := range []string{"evse_manager", "evse_board_support", "connector_lock", "ac_rcd", "isolation_monitor"} {
		declared, found := definitions.Interface(name)
		if !found {
			continue
		}
		text, err := json.Marshal(declared)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range regexp.MustCompile(name+`/\w+`).FindAllString(string(text), -1) {
			last := kind[strings.IndexByte(kind, '/')+1:]
			if _, there := faults[last]; !there && !unexplained[last] {
				t.Errorf("%s has no sentence", kind)
			}
			known++
		}
	}
	if known == 0 {
		t.Error("no interface declares an error")
	}
}

func TestPeopleCountNames(t *testing.T) {
	names := []string{"b", "connector_10", "connector_9", "connector_09a", "connector_9a", "", "connector", "99999999999999999999", "a10b2", "a10b1", "a9b3"}
	slices.SortFunc(names, Compare)
	want := []string{"", "99999999999999999999", "a9b3", "a10b1", "a10b2", "b", "connector", "connector_9", "connector_09a", "connector_9a", "connector_10"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAModuleThatDoesNotAnswerIsASentence(t *testing.T) {
	for _, err := range []error{os.ErrNotExist, os.ErrPermission, context.DeadlineExceeded, errors.New("dial unix: odd")} {
		if got := Unreachable(err); !strings.HasSuffix(got, ".") || strings.Contains(got, "dial") {
			t.Errorf("%v is %q", err, got)
		}
	}
}
