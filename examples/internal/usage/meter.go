package usage

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// Meter measures what the processes of a station cost. Its zero value is ready to
// use; it is not safe for concurrent use.
type Meter struct {
	running  map[int]start
	measured map[string][]cost
}

// start is a process when it became ready.
type start struct {
	sort string
	at   time.Time
	used Usage
}

// cost is what one process used: until it was ready, and afterwards.
type cost struct {
	start, rest, lifetime time.Duration
	peak                  int // KiB
}

// Ready records that a process of that sort is ready. A system that does not show
// what it has used leaves it out.
func (m *Meter) Ready(sort string, process int) {
	if _, known := m.running[process]; known {
		return
	}
	if used, err := Of(process); err == nil {
		if m.running == nil {
			m.running = map[int]start{}
		}
		m.running[process] = start{sort, time.Now(), used}
	}
}

// Measure measures the processes that are running.
func (m *Meter) Measure() {
	m.measured = map[string][]cost{}
	for process, began := range m.running {
		if used, err := Of(process); err == nil {
			m.measured[began.sort] = append(m.measured[began.sort], cost{
				start: began.used.CPU(), rest: used.CPU() - began.used.CPU(), lifetime: time.Since(began.at), peak: used.Peak,
			})
		}
	}
}

// share returns the part of one core that the process used once it was ready.
func (c cost) share() float64 {
	if c.lifetime <= 0 {
		return 0
	}
	return c.rest.Seconds() / c.lifetime.Seconds()
}

func (c cost) peakMiB() float64 { return float64(c.peak) / 1024 }

// Table returns the lines of a table with a row for each sort of process that was
// measured: the median of its processes, and the memory of the largest one.
func (m *Meter) Table(sorts ...string) []string {
	rows := [][]string{{"cost of a process", "processes", "CPU to ready", "CPU afterwards", "of a core", "peak RSS", "most"}}
	for _, sort := range sorts {
		costs := m.measured[sort]
		if len(costs) == 0 {
			continue
		}
		largest := slices.MaxFunc(costs, func(a, b cost) int { return cmp.Compare(a.peak, b.peak) })
		rows = append(rows, []string{
			sort, fmt.Sprint(len(costs)),
			fmt.Sprintf("%.2f s", median(costs, func(c cost) time.Duration { return c.start }).Seconds()),
			fmt.Sprintf("%.2f s", median(costs, func(c cost) time.Duration { return c.rest }).Seconds()),
			fmt.Sprintf("%.2f %%", 100*median(costs, cost.share)),
			fmt.Sprintf("%.1f MiB", median(costs, cost.peakMiB)),
			fmt.Sprintf("%.1f MiB", largest.peakMiB()),
		})
	}
	if len(rows) == 1 {
		return nil
	}
	return terminal.Table(rows)
}

func median[T cmp.Ordered](costs []cost, of func(cost) T) T {
	var all []T
	for _, one := range costs {
		all = append(all, of(one))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
