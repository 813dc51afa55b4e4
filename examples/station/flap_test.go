package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLink notes when it was cut and healed.
type fakeLink struct {
	began  time.Time
	stands bool
	heard  []string
}

func (l *fakeLink) note(what string) {
	l.heard = append(l.heard, fmt.Sprintf("%v %s", time.Since(l.began), what))
}
func (l *fakeLink) Cut(outage Outage) bool {
	l.note(outage.String())
	return l.stands
}
func (l *fakeLink) Heal() { l.note("healed") }

func TestLinksAreCutInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boards := goodBoards(true) // the round lasts until what is missing is given up
		boards.events = make(chan Event)
		flags := Flags{Satellites: 1, Speed: 1, Once: true, Flap: 6 * time.Second}
		station := NewStation(flags, Boards(flags, []int{1}, []int{2}), time.Second, boards.start, boards.events, &collectView{t: t})
		standing, down := &fakeLink{began: time.Now(), stands: true}, &fakeLink{began: time.Now()}
		station.Flap([]cuttable{standing, down})
		if err := station.Run(t.Context()); err == nil {
			t.Error("what is missing was not missed")
		}
		if want := []string{"3s closed", "5.4s healed", "9s reset"}; !slices.Equal(standing.heard, want) {
			t.Errorf("the first link heard %q, want %q", standing.heard, want)
		}
		if want := []string{"6s reset", "8.4s healed"}; !slices.Equal(down.heard, want) {
			t.Errorf("the second link heard %q, want %q", down.heard, want)
		}
		var output bytes.Buffer
		station.Summary(&output)
		if want := "cut 2 times (1 closed, 1 reset, 0 silent) for 2.4s each"; !strings.Contains(output.String(), want) {
			t.Errorf("the summary is %s, want one with %q", output.String(), want)
		}
	})
}

func TestTimesOfFlap(t *testing.T) {
	for _, test := range []struct{ interval, outage, timeout time.Duration }{
		{5 * time.Second, 2 * time.Second, 1500 * time.Millisecond},
		{time.Second, 400 * time.Millisecond, 300 * time.Millisecond},
		{100 * time.Millisecond, 40 * time.Millisecond, 200 * time.Millisecond},
		{time.Hour, 5 * time.Second, 1500 * time.Millisecond},
	} {
		if outage, timeout := outageOf(test.interval), linkTimeoutOf(test.interval); outage != test.outage || timeout != test.timeout {
			t.Errorf("-flap %v: outage %v, link timeout %v, want %v and %v", test.interval, outage, timeout, test.outage, test.timeout)
		}
	}
}

func TestStationWithFlappingLinks(t *testing.T) {
	t.Parallel()
	summary, err := play(t, &collectView{t: t}, Flags{Satellites: 2, Speed: 8, Flap: 700 * time.Millisecond})
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
	summary, err := play(t, &collectView{t: t}, Flags{
		Satellites: 1, Speed: 8, Flap: 700 * time.Millisecond, Kill: []Kill{{Board: "satellite1", At: 6 * time.Second}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 of 2 rounds", "The links were cut ", "arrived in order and unchanged"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary does not say %q", want)
		}
	}
}
