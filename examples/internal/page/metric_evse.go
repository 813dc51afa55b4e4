package page

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/remotechargeport/remotechargeport/everest/control"
)

// evseMetric is a metric family with a value for each EVSE, labelled module, module_id and evse.
type evseMetric struct {
	Name, Help string
	value      func(b *Board) *float64
}

// evseMetrics are the metric families of EVSEs. One whose module does not answer has only its level.
var evseMetrics = []evseMetric{
	{"remotechargeport_evse_level", "How much attention the EVSE needs: 0 working, 1 notice, 2 trouble, 3 down or out of service.",
		func(b *Board) *float64 { return new(float64(b.Level)) }},
	{"remotechargeport_evse_power_watts", "The last reading of the EVSE's meter.",
		ofEVSE(func(e *control.EVSE) *float64 { return e.Power })},
	{"remotechargeport_evse_limit_amperes", "What the energy management grants the EVSE, for each phase.",
		ofEVSE(func(e *control.EVSE) *float64 {
			if e.Limit == nil {
				return nil
			}
			return e.Limit.Current
		})},
	{"remotechargeport_evse_session_energy_wh", "What the session has imported.",
		ofEVSE(func(e *control.EVSE) *float64 { return e.SessionEnergy })},
	{"remotechargeport_evse_session_start_time_seconds", "When the session began, in seconds since 1970; absent without one.",
		ofEVSE(func(e *control.EVSE) *float64 {
			if e.SessionSince == nil {
				return nil
			}
			return new(unix(*e.SessionSince))
		})},
}

func ofEVSE(value func(*control.EVSE) *float64) func(*Board) *float64 {
	return func(b *Board) *float64 {
		if !b.Answers || b.Status == nil || b.Status.EVSE == nil {
			return nil
		}
		return value(b.Status.EVSE)
	}
}

// The families of EVSEs with a further label.
var (
	evseStateFamily = prometheus.NewDesc("remotechargeport_evse_state",
		"1, with the state in OCPP's words as a label.", []string{"module", "module_id", "evse", "state"}, nil)
	evseErrorsFamily = prometheus.NewDesc("remotechargeport_evse_errors_active",
		"Active errors of the EVSE by severity.", []string{"module", "module_id", "evse", "severity"}, nil)
)

// evseFamilies returns a family for each of evseMetrics.
func evseFamilies() (families []*prometheus.Desc) {
	for _, metric := range evseMetrics {
		families = append(families, prometheus.NewDesc(metric.Name, metric.Help, []string{"module", "module_id", "evse"}, nil))
	}
	return families
}

// collectEVSE sends the metrics of a module's EVSE.
func (c *collector) collectEVSE(values chan<- prometheus.Metric, board *Board) {
	if board.EVSE == nil {
		return
	}
	labels := []string{label(board.Module), label(board.ModuleID), label(board.EVSE.Name)}
	gauge := func(family *prometheus.Desc, value float64, further ...string) {
		values <- prometheus.MustNewConstMetric(family, prometheus.GaugeValue, value, append(labels[:3:3], further...)...)
	}
	for i, metric := range evseMetrics {
		if value := metric.value(board); value != nil {
			gauge(c.evseFamilies[i], *value)
		}
	}
	gauge(evseStateFamily, 1, label(string(board.EVSE.State)))
	if !board.Answers || board.Status == nil || board.Status.EVSE == nil {
		return
	}
	counts := map[string]int{"Low": 0, "Medium": 0, "High": 0}
	for _, e := range board.Status.EVSE.Errors {
		if _, known := counts[e.Severity]; known {
			counts[e.Severity]++
		}
	}
	for severity, count := range counts {
		gauge(evseErrorsFamily, float64(count), severity)
	}
}
