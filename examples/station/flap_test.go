package main

import (
	"bytes"
	"encoding/json"
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

// limitsCall are the reports of one call of enforce_limits: called by the main
// board, served by the satellite, answered to the main board.
func limitsCall(number uint64, digest, answer string) (called, served, answered Report) {
	called = Report{Satellite: 1, Label: "call", Name: "enforce_limits", Call: number, Kind: KindCalled, Digest: digest}
	served = Report{Satellite: 1, Label: "call", Name: "enforce_limits", Kind: KindServed, Digest: digest, Answer: answer}
	answered = Report{Satellite: 1, Label: "call", Name: "enforce_limits", Call: number, Kind: KindAnswered, Answer: answer}
	return called, served, answered
}

// A call of a repeated command may be answered while the link is away, null and
// without the satellite; every other one has to arrive, and in order.
func TestLedgerOfFlappingLinks(t *testing.T) {
	null := Digest(json.RawMessage("null"))
	called1, served1, answered1 := limitsCall(1, "a", null)
	called2, served2, answered2 := limitsCall(2, "b", null)
	called3, served3, answered3 := limitsCall(3, "a", null)
	for name, test := range map[string]struct {
		reports  []Report
		steady   bool
		without  int
		problems string
	}{
		"all served":               {[]Report{called1, served1, answered1, called2, answered2, served2}, false, 0, ""},
		"one without link":         {[]Report{called1, answered1, called2, served2, answered2}, false, 1, ""},
		"reported late":            {[]Report{called1, answered1, called2, served2, answered2, served3, called3, answered3}, false, 1, ""},
		"the last one":             {[]Report{called1, served1, answered1, called2, answered2}, false, 1, ""},
		"executed, answer lost":    {[]Report{called1, served1, answered1}, false, 0, ""},
		"no answer, not served":    {[]Report{called1, called2, served2, answered2}, false, 0, "1 calls without an answer"},
		"another answer":           {[]Report{called1, {Satellite: 1, Label: "call", Name: "enforce_limits", Call: 1, Kind: KindAnswered, Answer: "x"}}, false, 0, "1 of 1 missing"},
		"served in another order":  {[]Report{called1, called2, served2, served1, answered1, answered2}, false, 0, "1 out of order"},
		"served, never called":     {[]Report{called1, served1, served2, answered1}, false, 0, "1 changed on the way, twice, or never sent"},
		"served, answer not there": {[]Report{called1, served1}, false, 0, "1 calls without an answer"},
		"the link is steady":       {[]Report{called1, answered1, called2, served2, answered2}, true, 0, "1 of 2 missing"},
	} {
		t.Run(name, func(t *testing.T) {
			ledger := NewLedger()
			if !test.steady {
				ledger.LinkAway(1)
			}
			for _, report := range test.reports {
				ledger.Add(report)
			}
			if balanced := ledger.Balanced(); balanced != (test.problems == "") {
				t.Errorf("balanced: %v", balanced)
			}
			problems := strings.Join(ledger.Settle(false), "\n")
			if (problems == "") != (test.problems == "") || !strings.Contains(problems, test.problems) {
				t.Errorf("problems %q, want %q", problems, test.problems)
			}
			if got := ledger.Totals(1).WithoutLink; got != test.without {
				t.Errorf("%d calls without a link, want %d", got, test.without)
			}
		})
	}
	other := Report{Satellite: 1, Label: "call", Name: "reserve", Call: 1, Kind: KindCalled}
	ledger := NewLedger()
	ledger.LinkAway(1)
	ledger.Add(other)
	other.Kind, other.Answer = KindAnswered, null
	ledger.Add(other)
	if ledger.Balanced() || ledger.Settle(false) == nil {
		t.Error("a command that its caller does not repeat may not be missing")
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
