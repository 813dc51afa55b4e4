package page

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// The metric families of the server itself.
var (
	infoFamily = prometheus.NewDesc("remotechargeport_module_info",
		"1, with the module's version and state as labels; absent while it does not answer.",
		[]string{"module", "module_id", "version", "state"}, nil)
	serverFamily = prometheus.NewDesc("remotechargeport_page_info",
		"1, with the version of the server that reads the status sockets.", []string{"version"}, nil)
	streamsFamily = prometheus.NewDesc("remotechargeport_page_streams", "Status pages that are open.", nil, nil)
)

// collector collects the metrics of a Station.
type collector struct {
	station  *Station
	streams  func() int
	version  string
	families []*prometheus.Desc
	// evseFamilies are those of evseMetrics.
	evseFamilies []*prometheus.Desc
}

func newCollector(station *Station, streams func() int, version string) *collector {
	c := &collector{station: station, streams: streams, version: version, evseFamilies: evseFamilies()}
	for _, metric := range metrics {
		c.families = append(c.families, prometheus.NewDesc(metric.Name, metric.Help, []string{"module", "module_id"}, nil))
	}
	return c
}

func (c *collector) Describe(families chan<- *prometheus.Desc) {
	for _, family := range c.families {
		families <- family
	}
	for _, family := range append([]*prometheus.Desc{evseStateFamily, evseErrorsFamily}, c.evseFamilies...) {
		families <- family
	}
	families <- infoFamily
	families <- serverFamily
	families <- streamsFamily
}

func (c *collector) Collect(values chan<- prometheus.Metric) {
	values <- prometheus.MustNewConstMetric(serverFamily, prometheus.GaugeValue, 1, label(c.version))
	values <- prometheus.MustNewConstMetric(streamsFamily, prometheus.GaugeValue, float64(c.streams()))
	for _, board := range unique(c.station.Boards()) {
		for i, metric := range metrics {
			if value, ok := metric.value(&board); ok {
				values <- prometheus.MustNewConstMetric(c.families[i], metric.valueType(), value, label(board.Module), label(board.ModuleID))
			}
		}
		c.collectEVSE(values, &board)
		if board.Answers {
			values <- prometheus.MustNewConstMetric(infoFamily, prometheus.GaugeValue, 1,
				label(board.Module), label(board.ModuleID), label(board.Version), label(board.State))
		}
	}
}

// unique returns one board for each pair of module and id, preferably one that responds. Prometheus rejects a whole
// response in which two series have equal labels.
func unique(boards []Board) []Board {
	type key struct{ module, id string }
	at := map[key]int{}
	kept := boards[:0]
	for _, board := range boards {
		k := key{label(board.Module), label(board.ModuleID)}
		if i, twice := at[k]; twice {
			if !kept[i].Answers {
				kept[i] = board
			}
			continue
		}
		at[k] = len(kept)
		kept = append(kept, board)
	}
	return kept
}

// label returns text as valid UTF-8, which Prometheus requires.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
