package main

import (
	"strings"
	"testing"
	"time"
)

func TestStationWithFlappingLinks(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{Satellites: 2, Speed: 8, Flap: 700 * time.Millisecond}, nil)
	checkPlayed(t, summary, err, 2)
	if !strings.Contains(summary, "The links were cut ") || strings.Contains(summary, "resumed 0 times") {
		t.Error("the summary does not tell of cuts and resumes")
	}
	for number := 1; number <= 2; number++ {
		if row := strings.Fields(tableRow(summary, satelliteName(number))); row[len(row)-1] != "0" {
			t.Errorf("row %q: a flapping link restarted a board", row)
		}
	}
}

func TestKilledBoardBehindAFlappingLink(t *testing.T) {
	t.Parallel()
	summary, err := play(t, Flags{
		Satellites: 1, Speed: 8, Flap: 700 * time.Millisecond, Kill: []Kill{{Board: "satellite1", At: 6 * time.Second}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 of 2 rounds", "The links were cut ", "arrived in order and unchanged"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q", want)
		}
	}
}
