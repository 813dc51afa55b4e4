package proof

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	// Stations wait more than they work.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// goPairings are the pairings that need nothing but this repository.
func goPairings() []Pairing {
	return slices.DeleteFunc(Pairings(), Pairing.NeedsCPP)
}

func play(t *testing.T, scenario Scenario, pairing Pairing, patience Patience) []Finding {
	t.Helper()
	findings, err := scenario.Play(t.Context(), StandIns{Logger: zaptest.NewLogger(t)}, pairing, patience)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func TestScenariosOnStandIns(t *testing.T) {
	for _, pairing := range goPairings() {
		for _, scenario := range Scenarios() {
			if scenario.Installed {
				continue
			}
			t.Run(pairing.String()+"/"+scenario.Name, func(t *testing.T) {
				t.Parallel()
				findings := play(t, scenario, pairing, Patience{everesttest.Patience, everesttest.Patience})
				for _, fault := range Faults(findings) {
					t.Error(fault)
				}
				if len(findings) < 2 {
					t.Errorf("only %d checks", len(findings))
				}
			})
		}
	}
}

// TestVerbatimIsFaulty shows that the stand-ins see what goes wrong on a real station whose identifiers are not
// translated.
func TestVerbatimIsFaulty(t *testing.T) {
	errorsAtAnyLevel := []string{
		"backend: the satellite's of an equal origin is raised at its EVSE", "history: both of equal origins",
		"history: the satellite's stays", "backend: the first of two origins is raised at its EVSE",
		"Inoperative comes under evse_manager", "history: Inoperative of connector_2/evse_manager",
	}
	tests := map[string]struct {
		patience Patience
		faults   []string // the beginnings of checks
	}{
		"fuse, unequal ids":                    {Patience{everesttest.Patience, everesttest.Patience}, []string{"no limits of other EVSEs cross the link"}},
		"fuse, an EnergyNode at the satellite": {Patience{everesttest.Patience, everesttest.Patience}, []string{"no limits of other EVSEs cross the link"}},
		"fuse, equal ids": {Patience{everesttest.Patience, everesttest.Patience}, []string{
			"the limits keep the fuse", "each EVSE gets its half",
		}},
		"fuse, id of an EnergyNode": {Patience{everesttest.Patience, time.Second}, []string{
			"each EVSE gets its half", "the car at the satellite charges", "no limits of other EVSEs cross the link",
		}},
		"errors, main board at INFO": {Patience{everesttest.Patience, 300 * time.Millisecond}, errorsAtAnyLevel},
		"errors, main board at DEBUG": {Patience{everesttest.Patience, 300 * time.Millisecond}, append(errorsAtAnyLevel,
			"history: both of two origins", "history: the second of two origins stays",
		)},
		"connector_id left at 1, Auth": {Patience{time.Second, time.Second}, []string{
			"get_evse of the controller has the main board's number", "session of the local EVSE",
		}},
		"connector_id left at 1, OCPP": {Patience{time.Second, time.Second}, []string{
			"get_evse of the controller has the main board's number", "OCPP connects to the backend",
		}},
	}
	for _, scenario := range Scenarios() {
		test, faulty := tests[scenario.Name]
		if !faulty {
			continue
		}
		t.Run(scenario.Name, func(t *testing.T) {
			t.Parallel()
			findings := play(t, scenario, Verbatim(), test.patience)
			for _, check := range test.faults {
				if !slices.ContainsFunc(findings, func(f Finding) bool { return strings.HasPrefix(f.Check, check) && !f.OK }) {
					t.Errorf("%q is not seen as a fault in %v", check, findings)
				}
			}
		})
	}
}

// A board whose EVerest ends before its modules come, for example because it lacks one of them, is no station.
func TestABoardThatNeverStarts(t *testing.T) {
	j := newJournal()
	s := &Station{journal: j, main: newMainProbe(j), satellite: newSatelliteProbe(j)}
	s.main.module = &everest.Module{}
	j.add(Observation{Place: onSatellite, Kind: ended})
	if err := s.waitReady(t.Context(), s.main, s.satellite); err == nil || !strings.Contains(err.Error(), onSatellite) {
		t.Errorf("%v, want an error that names the satellite", err)
	}
}
