package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCostTable(t *testing.T) {
	var all costs
	if lines := all.table(); lines != nil {
		t.Errorf("a table of nothing: %q", lines)
	}
	add := func(satellite int, what, when string, lifetime, cpu time.Duration, peak int64) {
		all.add(Report{Kind: KindCost, Satellite: satellite, Name: what, Label: when, Cost: &Cost{Lifetime: lifetime, CPU: cpu, PeakRSS: peak << 20}})
	}
	for satellite, peak := range []int64{30, 10, 20} {
		add(satellite, costAgent, costReady, time.Second, 100*time.Millisecond, 5)
		add(satellite, costAgent, costEnd, 11*time.Second, time.Duration(200+100*satellite)*time.Millisecond, peak)
	}
	add(0, costMain, costReady, time.Second, time.Second, 5)
	add(0, costMain, costEnd, time.Second, time.Second, 40)
	add(4, costAgent, costEnd, time.Second, time.Second, 99) // never ready
	want := []string{
		"cost of a process  processes  CPU to ready  CPU afterwards  of a core  peak RSS  most",
		"main board         1          1.00 s        0.00 s          0.00 %     40.0 MiB  40.0 MiB",
		"agent              3          0.10 s        0.20 s          2.00 %     20.0 MiB  30.0 MiB",
	}
	if diff := cmp.Diff(want, all.table()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestMeasureCost(t *testing.T) {
	cost, known := measureCost()
	if runtime.GOOS != "linux" {
		t.Skip("the system does not tell")
	}
	if !known || cost.CPU <= 0 || cost.PeakRSS < 1<<20 {
		t.Errorf("cost %+v, %v, want the time and the memory that were used", cost, known)
	}
	if _, found := parsePeak("Name:\tx\nVmHWM:\tmuch\n"); found {
		t.Error("a peak was found where there is none")
	}
}

// A link module in a process of its own makes no difference, but that it has a
// cost of its own.
func TestStationOfProcesses(t *testing.T) {
	t.Parallel()
	summary, err := play(t, &collectView{t: t}, Flags{Satellites: 2, Speed: 20, Apart: true})
	checkPlayed(t, summary, err, 2)
	if runtime.GOOS != "linux" {
		return
	}
	for what, processes := range map[string]string{costMain: "1", costController: "2", costSatellite: "2", costAgent: "2"} {
		if fields := strings.Fields(strings.TrimPrefix(tableRow(summary, what), what)); len(fields) == 0 || fields[0] != processes {
			t.Errorf("the summary has no cost of %s processes of the %s", processes, what)
		}
	}
}

func TestKilledBoardTakesItsProcessesAlong(t *testing.T) {
	t.Parallel()
	view := &collectView{t: t}
	summary, err := play(t, view, Flags{Satellites: 1, Speed: 10, Apart: true, Kill: []Kill{{Board: "main", At: 5 * time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	if !view.contains("main ended: signal: killed") || !view.contains("satellite1 ended") || !strings.Contains(summary, "1 of 2 rounds") {
		t.Error("main board and satellite did not restart and meet again")
	}
}

func TestLinkNeedsItsBoard(t *testing.T) {
	for _, input := range []string{"", "{}", "no JSON"} {
		err := RunLink(t.Context(), strings.NewReader(input), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), linkArgument) {
			t.Errorf("input %q: error %v", input, err)
		}
	}
}
