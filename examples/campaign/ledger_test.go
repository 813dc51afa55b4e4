package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLedger(t *testing.T) {
	for _, test := range []struct {
		name string
		// script is what happens: "+a" is published, "-a" arrives, "-a!" with another value, "fresh" begins an epoch.
		script   string
		problems []string
		lost     []string
		open     int
	}{
		{name: "each once and in order", script: "+a +b -a +c -b -c"},
		{name: "under way", script: "+a +b -a", open: 1},
		{name: "lost without a kill", script: "+a +b -b", problems: []string{"b arrived before a"}},
		{name: "overtaken", script: "+a +b -b -a", problems: []string{"b arrived before a", "a arrived twice"}},
		{name: "twice", script: "+a -a -a", problems: []string{"a arrived twice"}},
		{name: "never sent", script: "-a", problems: []string{"a arrived twice"}},
		{name: "changed", script: "+a -a!", problems: []string{"another value"}},
		{name: "lost by a kill", script: "+a +b +c -a fresh +d -d", lost: []string{"b", "c"}},
		{name: "late but in order", script: "+a +b -a fresh +c -b -c"},
		{name: "after its time", script: "+a +b -a fresh +c -c -b", problems: []string{"b arrived twice, or after its time"}, lost: []string{"b"}},
		{name: "a hole before a kill", script: "+a +b +c -a -c fresh +d -d", problems: []string{"c arrived before b"}},
		{name: "two kills", script: "+a fresh +b fresh +c -c", lost: []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var problems []string
			ledger := NewLedger("events", func(text string) { problems = append(problems, text) })
			for what := range strings.FieldsSeq(test.script) {
				key, changed := strings.CutSuffix(what[1:], "!")
				switch {
				case what == "fresh":
					ledger.Fresh()
				case what[0] == '+':
					ledger.Publish(key, "value")
				case changed:
					ledger.Arrive(key, "another")
				default:
					ledger.Arrive(key, "value")
				}
			}
			if len(problems) != len(test.problems) {
				t.Errorf("problems %q, want %q", problems, test.problems)
			}
			for i, want := range test.problems {
				if i < len(problems) && !strings.Contains(problems[i], want) {
					t.Errorf("problem %q, want %q", problems[i], want)
				}
			}
			var lost []string
			for _, item := range ledger.TakeLost() {
				lost = append(lost, item.key)
			}
			if diff := cmp.Diff(test.lost, lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if _, _, open := ledger.Counts(); open != test.open {
				t.Errorf("%d outstanding, want %d", open, test.open)
			}
		})
	}
}

func TestLedgerProgress(t *testing.T) {
	ledger := NewLedger("events", func(text string) { t.Error(text) })
	ledger.Publish("a", "")
	before := ledger.Published()
	ledger.Publish("b", "")
	ledger.Arrive("a", "")
	if done, _ := ledger.Progress(before); done {
		t.Error("progress before anything that was published later has arrived")
	}
	_, changed := ledger.Progress(before)
	ledger.Arrive("b", "")
	<-changed
	if done, _ := ledger.Progress(before); !done {
		t.Error("no progress though a later one has arrived")
	}
	if done, _ := ledger.Progress(-1); !done {
		t.Error("something is outstanding")
	}
}

func TestCommands(t *testing.T) {
	failure := errors.New("failed")
	for _, test := range []struct {
		name   string
		kind   commandKind
		times  int
		err    error
		killed bool
		want   string
	}{
		{"once", reserve, 1, nil, false, ""},
		{"twice", reserve, 2, nil, false, "executed 2 times"},
		{"twice after a kill", reserve, 2, nil, true, "executed 2 times"},
		{"answered only", reserve, 0, nil, false, "not executed"},
		{"answered only, after a kill", reserve, 0, nil, true, "not executed"},
		{"without a result", setDuration, 0, nil, false, "not executed"},
		{"without a result, after a kill", setDuration, 0, nil, true, ""},
		{"repeated by its caller", enforceLimits, 0, nil, false, ""},
		{"failed", reserve, 1, failure, false, "failed"},
		{"failed after a kill", reserve, 1, failure, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var problems []string
			commands := NewCommands(func(text string) { problems = append(problems, text) })
			number := commands.Call(test.kind)
			for range test.times {
				commands.Execute(number)
			}
			commands.Answer(number, test.err, test.killed)
			if got := strings.Join(problems, "; "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("problems %q, want %q", got, test.want)
			}
			if commands.Open() != 0 {
				t.Error("the command has no end")
			}
		})
	}
}

func TestCommandThatNobodyCalled(t *testing.T) {
	problem := ""
	commands := NewCommands(func(text string) { problem = text })
	commands.Execute(7)
	if !strings.Contains(problem, "never called") {
		t.Errorf("problem %q", problem)
	}
}

func TestLedgerIsNext(t *testing.T) {
	ledger := NewLedger("events", func(text string) { t.Error(text) })
	ledger.Publish("a", "")
	ledger.Publish("b", "")
	ledger.Fresh()
	ledger.Publish("c", "")
	ledger.Publish("d", "")
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false, "e": false} {
		if got := ledger.IsNext(key); got != want {
			t.Errorf("%s is next: %v, want %v", key, got, want)
		}
	}
}
