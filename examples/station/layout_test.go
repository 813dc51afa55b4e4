package main

import (
	"testing"

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
