package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A link module in a process of its own makes no difference, but that it has a
// cost of its own.
func TestStationOfProcesses(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{Satellites: 2, Speed: 20, Apart: true}, nil)
	checkPlayed(t, summary, err, 2)
	if runtime.GOOS != "linux" {
		return
	}
	for what, processes := range map[string]string{"main board": "1", "controller": "2", "satellite board": "2", "agent": "2"} {
		if fields := strings.Fields(strings.TrimPrefix(tableRow(summary, what), what)); len(fields) == 0 || fields[0] != processes {
			t.Errorf("the summary has no cost of %s processes of the %s", processes, what)
		}
	}
}

func TestKilledBoardTakesItsProcessesAlong(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{Satellites: 1, Speed: 10, Apart: true, Kill: []Kill{{Board: "main", At: 5 * time.Second}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(summary, "main ended: signal: killed") || !strings.Contains(summary, "satellite1 ended") || !strings.Contains(summary, "1 of 2 rounds") {
		t.Error("main board and satellite did not restart and meet again")
	}
}

func TestLinkNeedsItsBoard(t *testing.T) {
	for _, input := range []string{"", "{}", "no JSON"} {
		err := runLink(t.Context(), strings.NewReader(input), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), linkArgument) {
			t.Errorf("input %q: error %v", input, err)
		}
	}
}
