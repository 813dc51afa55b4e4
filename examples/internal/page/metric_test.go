package page

import (
	"context"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// everything returns a station whose modules have a value for every metric.
func everything() *fakeStation {
	source := newFakeStation()
	end := noon.Add(365 * 24 * time.Hour)
	controller, agent := controllerStatus("connector_2", noon), agentStatus("remote_controller", noon)
	controller.Link.LastVariable, controller.Link.CertificateExpires = &noon, &end
	agent.Link.CertificateExpires = &end
	controller.Peer, controller.EVSE = &control.Peer{Status: &agent}, evseStatus(2, noon).EVSE
	source.answer("1.sock", controller)
	source.answer("2.sock", agent)
	source.answer("3.sock", aggregatorStatus("aggregator", noon))
	return source
}

// measured runs a station for two ticks and calls test with it and its metrics.
func measured(t *testing.T, source *fakeStation, test func(registry *prometheus.Registry)) {
	t.Helper()
	runStation(t, source, func(station *Station) {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(newCollector(station, func() int { return 3 }, "v1"))
		pass(2)
		test(registry)
	})
}

// exposed returns the response to Prometheus.
func exposed(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	if recorder.Code != 200 {
		t.Fatalf("/metrics: %d %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

// seriesOf returns how many series a family has.
func seriesOf(text, family string) int { return strings.Count(text, "\n"+family+"{") }

func TestEveryMetricHasAValue(t *testing.T) {
	measured(t, everything(), func(registry *prometheus.Registry) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, family := range families {
			there[family.GetName()] = true
			if !strings.HasPrefix(family.GetName(), "remotechargeport_") {
				t.Errorf("%s lacks the prefix", family.GetName())
			}
		}
		for _, metric := range Metrics() {
			if !there[metric.Name] {
				t.Errorf("no module has a %s", metric.Name)
			}
		}
	})
}

func TestMetricsPassPromlint(t *testing.T) {
	measured(t, everything(), func(registry *prometheus.Registry) {
		problems, err := promlint.New(strings.NewReader(exposed(t, registry))).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			t.Errorf("promlint: %s: %s", problem.Metric, problem.Text)
		}
	})
}

func TestMetricsOfDownModule(t *testing.T) {
	source := newFakeStation()
	source.answer("connector_2.sock", controllerStatus("connector_2", noon))
	measured(t, source, func(registry *prometheus.Registry) {
		source.set("connector_2.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
		pass(2)
		text := exposed(t, registry)
		if !strings.Contains(text, `remotechargeport_module_up{module="SatelliteController",module_id="connector_2"} 0`) {
			t.Errorf("a module that is down is not told:\n%s", text)
		}
		for _, family := range []string{"remotechargeport_link_connected", "remotechargeport_module_info", "remotechargeport_module_healthy"} {
			if seriesOf(text, family) > 0 {
				t.Errorf("what the module said last is told as if it were so now: %s", family)
			}
		}
	})
}

// On the main board a satellite's journal is seen through its controller.
func TestMetricsOfAgentBehindController(t *testing.T) {
	source := newFakeStation()
	controller, agent := controllerStatus("connector_2", noon), agentStatus("remote_controller", noon)
	controller.Peer = &control.Peer{Status: &agent}
	source.answer("1.sock", controller)
	measured(t, source, func(registry *prometheus.Registry) {
		text := exposed(t, registry)
		for _, want := range []string{"remotechargeport_journal_events", "remotechargeport_journal_events_limit", "remotechargeport_journal_events_collected_total"} {
			if !strings.Contains(text, "\n"+want+`{module="SatelliteController",module_id="connector_2"}`) {
				t.Errorf("no %s of the satellite:\n%s", want, text)
			}
		}
	})
}

// TestMetricsOfBoards: each metric of the aggregator's boards counts its own kind of board, and no board where there is none.
func TestMetricsOfBoards(t *testing.T) {
	source := newFakeStation()
	status := aggregatorStatus("aggregator", noon)
	status.Station.Boards = []control.Board{
		{Name: "0_system", Connected: true},
		{Index: 1, Name: "1_connector_2", Connected: true, Mixed: true, MixedRequest: 7},
		{Index: 2, Name: "2_connector_3", Mixed: true, MixedRequest: 7},
		{Index: 3, Name: "3_connector_4", Connected: true, Flashing: true},
	}
	source.answer("1.sock", status)
	source.answer("2.sock", aggregatorStatus("updated", noon))
	measured(t, source, func(registry *prometheus.Registry) {
		text := exposed(t, registry)
		for _, want := range []string{
			`boards{module="SystemAggregator",module_id="aggregator"} 4`,
			`boards_connected{module="SystemAggregator",module_id="aggregator"} 3`,
			`boards_flashing{module="SystemAggregator",module_id="aggregator"} 1`,
			`boards_mixed{module="SystemAggregator",module_id="aggregator"} 2`,
			`boards_mixed{module="SystemAggregator",module_id="updated"} 0`,
		} {
			if !strings.Contains(text, "\nremotechargeport_station_"+want+"\n") {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
	})
}

func TestModulesWithEqualNames(t *testing.T) {
	source := newFakeStation()
	source.set("1.sock", func(context.Context) (*control.Status, error) { return nil, syscall.ECONNREFUSED })
	source.answer("2.sock", controllerStatus("connector_2", noon))
	source.answer("3.sock", controllerStatus("connector_2", noon))
	measured(t, source, func(registry *prometheus.Registry) {
		if text := exposed(t, registry); seriesOf(text, "remotechargeport_module_up") != 2 {
			t.Errorf("want the one that is down and one of the name:\n%s", text)
		}
	})
}

func TestLabelsWithInvalidUTF8(t *testing.T) {
	source := newFakeStation()
	source.answer("1.sock", controllerStatus("connector\xff\n\"2", noon))
	measured(t, source, func(registry *prometheus.Registry) {
		if text := exposed(t, registry); seriesOf(text, "remotechargeport_module_up") != 1 {
			t.Errorf("%s", text)
		}
	})
}
