package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseFlags(t *testing.T) {
	got, err := ParseFlags([]string{
		"-satellites", "2", "-speed", "20", "-once", "-kill", "satellite2@5s", "-kill", "main@1500ms",
		"-broker-main", "tcp://127.0.0.1:1883", "-broker-satellite", "unix:///run/one", "-broker-satellite", "mqtt://two:1", "-flap", "5s", "-apart",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := Flags{
		Satellites: 2, Speed: 20, Once: true, BrokerMain: "tcp://127.0.0.1:1883",
		BrokerSatellite: []string{"unix:///run/one", "mqtt://two:1"},
		Kill:            []Kill{{"satellite2", 5 * time.Second}, {"main", 1500 * time.Millisecond}},
		LogLevel:        "error",
		Flap:            5 * time.Second,
		Apart:           true,
		Page:            "127.0.0.1:9477",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if _, err := ParseFlags([]string{"-satellites", "64"}, io.Discard); err != nil {
		t.Errorf("64 satellites: %v", err)
	}
}

func TestParseFlagsSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"-satellites 0", "1 to 64"},
		{"-satellites 65", "1 to 64"},
		{"-satellites x", "-satellites"},
		{"-speed 0", "-speed 0"},
		{"-speed -1", "-speed -1"},
		{"-speed NaN", "-speed NaN"},
		{"-speed +Inf", "-speed +Inf"},
		{"extra", `"extra"`},
		{"-broker-main ftp://x", "ftp"},
		{"-broker-satellite tcp://x:0", "0"},
		{"-satellites 3 -broker-satellite tcp://x -broker-satellite tcp://y", "2 times for 3"},
		{"-log loud", "-log loud"},
		{"-kill satellite1", "BOARD@TIME"},
		{"-kill satellite1@soon", "soon"},
		{"-kill satellite1@-1s", "-1s"},
		{"-kill satellite2@1s", "no such board"},
		{"-kill satellite0@1s", "no such board"},
		{"-kill satellite01@1s", "no such board"},
		{"-kill @1s", "no such board"},
		{"-flap 99ms", "from 100ms on"},
		{"-flap -5s", "from 100ms on"},
		{"-flap 5s -scenario logs", "no -scenario"},
		{"-nonsense", "nonsense"},
	} {
		if _, err := ParseFlags(strings.Fields(test.arguments), io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.arguments, err, test.want)
		}
	}
}

func TestScenarioFlag(t *testing.T) {
	if _, err := ParseFlags([]string{"-scenario", "tea"}, nil); err == nil || !strings.Contains(err.Error(), "-scenario list has all names") {
		t.Errorf("an unknown scenario: %v", err)
	}
	for _, name := range []string{"logs", "logs-reboot", "firmware-refused", "reset-silent", "list"} {
		flags, err := ParseFlags([]string{"-scenario", name}, nil)
		if err != nil || flags.Scenario != name {
			t.Errorf("%s: %+v %v", name, flags, err)
		}
	}
	var help strings.Builder
	if _, err := ParseFlags([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "or list for all names") {
		t.Errorf("the help does not say where the names are: %v\n%s", err, help.String())
	}
}
