package proof

import (
	"flag"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// The paces of TestOutagesOnStandIns: how many times faster everything goes than on a real station.
const (
	quickest = 10
	// unhurried is the pace at which a scenario is played again that went wrong at the other: a machine that is busy with
	// other tests is too late for a link that is lost after 3 s.
	unhurried = 2
)

var outages = flag.Bool("proof.outages", false, "lose boards and links, in real time")

// TestOutagesOnStandIns loses boards and the link of stations. With link v2, auto is what isolate is, so one of them is
// enough here.
func TestOutagesOnStandIns(t *testing.T) {
	if !*outages {
		t.Skip("takes half a minute of a machine that does nothing else: -proof.outages")
	}
	for _, scenario := range Outages() {
		if scenario.Installed || strings.HasPrefix(scenario.Name, isolate) {
			continue
		}
		t.Run(scenario.Name, func(t *testing.T) {
			t.Parallel()
			findings := playOutage(t, scenario, quickest)
			if faults := Faults(findings); len(faults) > 0 {
				t.Logf("played again, %d times slower, because of: %q", quickest/unhurried, faults)
				findings = playOutage(t, scenario, unhurried)
			}
			for _, fault := range Faults(findings) {
				t.Error(fault)
			}
			if len(findings) < 10 {
				t.Errorf("only %d checks", len(findings))
			}
			for _, finding := range findings {
				t.Log(finding.Check, "#", finding.Seen)
			}
		})
	}
}

func playOutage(t *testing.T, scenario Scenario, quicker int) []Finding {
	t.Helper()
	patience := Patience{everesttest.Patience / 3, everesttest.Patience / 3}
	if quicker == unhurried {
		patience = Patience{everesttest.Patience, everesttest.Patience}
	}
	findings, err := scenario.Play(t.Context(), StandIns{Logger: zaptest.NewLogger(t), Quicker: quicker}, Pairings()[0], patience)
	if err != nil {
		t.Fatal(err)
	}
	return findings
}
