package satellite_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// relayVariants are controllers that do less to a value than one with its defaults, which is the last.
var relayVariants = []struct {
	name     string
	keys     map[string]any
	followed bool
}{
	{"plain", map[string]any{"identities": "verbatim", "check_values": false}, false},
	{"translated", map[string]any{"check_values": false}, false},
	{"checked", map[string]any{"identities": "verbatim"}, false},
	{"followed", map[string]any{"identities": "verbatim", "check_values": false}, true},
	{"default", nil, true},
}

// benchedSession is the session of the session event.
const benchedSession = "78aac4e8-6a73-4543-b24c-9a3e7f7ca337"

// typicalValues are what a charging EVSE publishes, recorded from a real one: an interface, a variable, a value.
func typicalValues(b *testing.B) (all []arrival) {
	b.Helper()
	text, err := os.ReadFile("../everest/schema/testdata/published.txt")
	if err != nil {
		b.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, variable, _ := strings.Cut(what, ".")
		typical := variable == "powermeter" || variable == "telemetry" || variable == "energy_flow_request" ||
			variable == "session_event" && strings.Contains(value, "charging_state_changed_event")
		if typical && !seen[variable] {
			all = append(all, arrival{id, variable, value})
		}
		seen[variable] = seen[variable] || typical
	}
	return all
}

// BenchmarkRelayChecks compares, in turns, the controllers of relayVariants with each other. The ratio is the time of a
// relay over that of the first controller.
func BenchmarkRelayChecks(b *testing.B) {
	stations := make([]*station, len(relayVariants))
	for i, variant := range relayVariants {
		broker := func() everest.Broker { return everesttest.NewBroker(b) }
		stations[i] = startStation(b, broker(), satelliteOptions{mainBroker: broker, main: variant.keys})
		if !variant.followed {
			stations[i].main.controller.PublishAsSaid()
		}
		stations[i].satellite.begin(benchedSession)
		<-stations[i].arrivals
	}
	for _, typical := range typicalValues(b) {
		b.Run(typical.Variable, func(b *testing.B) {
			took, value := samples{}, json.RawMessage(typical.Value)
			for i := range b.N * len(relayVariants) {
				// Who is first changes, because the caches are warmer for the second.
				at := (i + i/len(relayVariants)) % len(relayVariants)
				s := stations[at]
				took.take(relayVariants[at].name, func() {
					if err := s.satellite.port.module.Provides(typical.Interface).Publish(b.Context(), typical.Variable, value); err != nil {
						b.Fatal(err)
					}
					<-s.arrivals
				})
			}
			for _, variant := range relayVariants {
				b.ReportMetric(took.p50(variant.name), variant.name+"-p50-µs")
				b.ReportMetric(took.p50(variant.name)/took.p50(relayVariants[0].name), variant.name+"/"+relayVariants[0].name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
