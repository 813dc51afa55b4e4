package main

import (
	"flag"
	"testing"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

var allFamilies = flag.Bool("station.families", false, "play each pair of families")

// TestBoardsOfOtherReleases plays the station with boards whose EVerests speak other messages.
func TestBoardsOfOtherReleases(t *testing.T) {
	pairs := [][2]string{{"A3", "C"}, {"B2", "C"}, {"B4a", "D"}, {"C", "A3"}, {"D", "C"}}
	if *allFamilies {
		pairs = nil
		for _, main := range everesttest.Families() {
			for _, satellite := range everesttest.Families() {
				pairs = append(pairs, [2]string{main, satellite})
			}
		}
	}
	for _, pair := range pairs {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			summary, err := play(t, Flags{Satellites: 1, Speed: 20, FamilyMain: pair[0], FamilySatellite: pair[1]}, nil)
			checkPlayed(t, summary, err, 1)
		})
	}
}

func TestReleasesOfFlags(t *testing.T) {
	for text, want := range map[string]string{"2025.1": "B2", "2024.9": "A3", "2024.9.2": "B2", "2024.11.0": "B1", "2026.02.0": "C", "d": "D", "2025.9": "B4b", "2023.1": "", "main": ""} {
		if got, err := familyOf(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	flags, err := ParseFlags([]string{"-everest-main", "2025.1"}, nil)
	if err != nil || flags.FamilyMain != "B2" || flags.FamilySatellite != "" {
		t.Errorf("%+v, %v", flags, err)
	}
}
