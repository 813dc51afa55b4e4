package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Cost is what a process has used since its start.
type Cost struct {
	Lifetime time.Duration `json:"lifetime"`
	// CPU is the time of all its threads, in the kernel too.
	CPU time.Duration `json:"cpu"`
	// PeakRSS is the most memory that was resident, in bytes.
	PeakRSS int64 `json:"peak_rss"`
}

// What a cost is that of.
const (
	costMain       = "main board"
	costSatellite  = "satellite board"
	costController = "controller"
	costAgent      = "agent"
)

// When a process reports its cost: when it is ready, and at its end.
const (
	costReady = "ready"
	costEnd   = "end"
)

// processStarted is when this process began, near enough.
var processStarted = time.Now()

// reportCost reports what this process has used, where the system tells.
func reportCost(report *Reporter, satellite int, what, when string) {
	if cost, known := measureCost(); known {
		cost.Lifetime = time.Since(processStarted)
		report.Report(Report{Kind: KindCost, Satellite: satellite, Name: what, Label: when, Cost: &cost})
	}
}

// costs are those of the station's processes that ended in order.
type costs struct {
	ready map[costKey]Cost
	ended map[string][]processCost
}

type costKey struct {
	what      string
	satellite int
}

// processCost is one process's: until it was ready, and afterwards.
type processCost struct {
	start time.Duration // CPU
	rest  Cost
}

// add takes a report of the kind KindCost.
func (c *costs) add(report Report) {
	key := costKey{report.Name, report.Satellite}
	if report.Label == costReady {
		if c.ready == nil {
			c.ready = map[costKey]Cost{}
		}
		c.ready[key] = *report.Cost
		return
	}
	before, running := c.ready[key]
	delete(c.ready, key)
	if !running {
		return // it never did what is measured here
	}
	rest := Cost{Lifetime: report.Cost.Lifetime - before.Lifetime, CPU: report.Cost.CPU - before.CPU, PeakRSS: report.Cost.PeakRSS}
	if c.ended == nil {
		c.ended = map[string][]processCost{}
	}
	c.ended[report.Name] = append(c.ended[report.Name], processCost{start: before.CPU, rest: rest})
}

// share is the part of one core that the process used after its start.
func (p processCost) share() float64 {
	if p.rest.Lifetime <= 0 {
		return 0
	}
	return p.rest.CPU.Seconds() / p.rest.Lifetime.Seconds()
}

var costColumns = []string{"cost of a process", "processes", "CPU to ready", "CPU afterwards", "of a core", "peak RSS", "most"}

// table has a row for each sort of process: the median of its processes, and for
// the memory the most as well.
func (c *costs) table() []string {
	var rows [][]string
	for _, what := range []string{costMain, costController, costSatellite, costAgent} {
		processes := c.ended[what]
		if len(processes) == 0 {
			continue
		}
		rows = append(rows, []string{
			what, fmt.Sprint(len(processes)),
			seconds(median(processes, func(p processCost) time.Duration { return p.start })),
			seconds(median(processes, func(p processCost) time.Duration { return p.rest.CPU })),
			fmt.Sprintf("%.2f %%", 100*median(processes, processCost.share)),
			mebibytes(median(processes, processCost.peak)),
			mebibytes(slices.MaxFunc(processes, func(a, b processCost) int { return cmp.Compare(a.peak(), b.peak()) }).peak()),
		})
	}
	if rows == nil {
		return nil
	}
	return table(costColumns, rows)
}

func (p processCost) peak() int64 { return p.rest.PeakRSS }

func median[T cmp.Ordered](processes []processCost, of func(processCost) T) T {
	var all []T
	for _, process := range processes {
		all = append(all, of(process))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// parsePeak finds the peak of the resident memory in what Linux tells of a
// process in /proc/PID/status.
func parsePeak(status string) (bytes int64, found bool) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscanf(rest, "%d kB", &bytes); err == nil {
				return bytes << 10, true
			}
		}
	}
	return 0, false
}
