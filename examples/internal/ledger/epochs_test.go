package ledger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEpochs(t *testing.T) {
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
		{name: "overtaken", script: "+a +b -b -a", problems: []string{"b arrived before a", "a arrived changed, twice"}},
		{name: "twice", script: "+a -a -a", problems: []string{"a arrived changed, twice"}},
		{name: "never sent", script: "-a", problems: []string{"a arrived changed, twice"}},
		{name: "changed", script: "+a -a!", problems: []string{"a arrived changed"}, open: 1},
		{name: "lost by a kill", script: "+a +b +c -a fresh +d -d", lost: []string{"b", "c"}},
		{name: "late but in order", script: "+a +b -a fresh +c -b -c"},
		{name: "after its time", script: "+a +b -a fresh +c -c -b", problems: []string{"b arrived changed, twice, or after its time"}, lost: []string{"b"}},
		{name: "a hole before a kill", script: "+a +b +c -a -c fresh +d -d", problems: []string{"c arrived before b"}},
		{name: "two kills", script: "+a fresh +b fresh +c -c", lost: []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var problems []string
			epochs := NewEpochs("events", func(text string) { problems = append(problems, text) })
			for what := range strings.FieldsSeq(test.script) {
				key, changed := strings.CutSuffix(what[1:], "!")
				switch {
				case what == "fresh":
					epochs.Fresh()
				case what[0] == '+':
					epochs.Publish(key, "value")
				case changed:
					epochs.Arrive(key, "another")
				default:
					epochs.Arrive(key, "value")
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
			for _, item := range epochs.TakeLost() {
				lost = append(lost, item.Label)
			}
			if diff := cmp.Diff(test.lost, lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if _, _, open := epochs.Counts(); open != test.open {
				t.Errorf("%d outstanding, want %d", open, test.open)
			}
		})
	}
}

func TestEpochsProgress(t *testing.T) {
	epochs := NewEpochs("events", func(text string) { t.Error(text) })
	epochs.Publish("a", "")
	before, _, _ := epochs.Counts()
	epochs.Publish("b", "")
	epochs.Arrive("a", "")
	if done, _ := epochs.Progress(before); done {
		t.Error("progress before anything that was published later has arrived")
	}
	_, changed := epochs.Progress(before)
	epochs.Arrive("b", "")
	<-changed
	if done, _ := epochs.Progress(before); !done {
		t.Error("no progress though a later one has arrived")
	}
	if done, _ := epochs.Progress(-1); !done {
		t.Error("something is outstanding")
	}
}

func TestEpochsIsNext(t *testing.T) {
	epochs := NewEpochs("events", func(text string) { t.Error(text) })
	epochs.Publish("a", "")
	epochs.Publish("b", "")
	epochs.Fresh()
	epochs.Publish("c", "")
	epochs.Publish("d", "")
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false, "e": false} {
		if got := epochs.IsNext(key); got != want {
			t.Errorf("%s is next: %v, want %v", key, got, want)
		}
	}
}
