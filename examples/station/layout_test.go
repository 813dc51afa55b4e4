package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBoardsThatShareABrokerHaveTheirOwnPrefix(t *testing.T) {
	prefixes := func(flags Flags) []string {
		var all []string
		for _, board := range Boards(flags, []int{1, 2, 3}[:flags.Satellites]) {
			all = append(all, board.Name+" "+board.Broker+" "+board.EverestPrefix)
		}
		return all
	}
	for name, test := range map[string]struct {
		flags Flags
		want  []string
	}{
		"embedded": {
			Flags{Satellites: 2},
			[]string{"main  everest/", "satellite1  everest/", "satellite2  everest/"},
		},
		"one for all satellites": {
			Flags{Satellites: 2, BrokerSatellite: []string{"a"}},
			[]string{"main  everest/", "satellite1 a everest-satellite1/", "satellite2 a everest-satellite2/"},
		},
		"one each, two the same": {
			Flags{Satellites: 3, BrokerMain: "a", BrokerSatellite: []string{"b", "a", "c"}},
			[]string{"main a everest-main/", "satellite1 b everest/", "satellite2 a everest-satellite2/", "satellite3 c everest/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, prefixes(test.flags)); diff != "" {
				t.Errorf("boards (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgenda(t *testing.T) {
	start := time.Unix(0, 0)
	var done []string
	var agenda agenda
	do := func(name string) func() { return func() { done = append(done, name) } }
	agenda.add(start.Add(2*time.Second), do("two"))
	agenda.add(start.Add(time.Second), do("one"))
	agenda.add(start.Add(2*time.Second), do("two again"))
	agenda.add(start.Add(time.Second), func() { agenda.add(start, do("at once")) })

	if next, ok := agenda.run(start); !ok || next != start.Add(time.Second) || done != nil {
		t.Errorf("next %v, %v, done %v", next, ok, done)
	}
	if next, ok := agenda.run(start.Add(time.Second)); !ok || next != start.Add(2*time.Second) {
		t.Errorf("next %v, %v", next, ok)
	}
	if next, ok := agenda.run(start.Add(time.Hour)); ok {
		t.Errorf("something is left for %v", next)
	}
	if diff := cmp.Diff([]string{"one", "at once", "two", "two again"}, done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}
