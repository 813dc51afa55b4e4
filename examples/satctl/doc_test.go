package main

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../doc/satctl.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// differs replaces what changes with each run: numbers, times, column widths, random names and versions.
var differs = []struct {
	found *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(?m)^ *Queue .*\n`), ""}, // a message that happens to wait
	{regexp.MustCompile(`(?m)^( *Version) .*$`), "$1 V"},
	{regexp.MustCompile(`Z_[0-9a-f]{8}\.tar`), "Z_0.tar"},
	{regexp.MustCompile(`(module  +remote_controller, SatelliteAgent) .*`), "$1 V"},
	{regexp.MustCompile(`[0-9.]+ ((µs|ms|s|min)\b|h [0-9]+ min)`), "0 s"},
	{regexp.MustCompile(`[0-9]+ events?,`), "0 events,"},
	{regexp.MustCompile(`[0-9.]+ (bytes|KiB)`), "0 bytes"},
	{regexp.MustCompile(`[0-9]+(e-[0-9]+)?`), "0"},
	{regexp.MustCompile(`0(\.0)?m?s|(0d)?(0h)?(0m)?0s|0d0h`), "0s"},
	{regexp.MustCompile(`(0h)?(0m)?0s`), "0s"},
	{regexp.MustCompile(`(?m) +$`), ""},
	{regexp.MustCompile(` +`), " "},
}

func alike(text string) string {
	for _, d := range differs {
		text = d.found.ReplaceAllString(text, d.with)
	}
	return text
}

// TestDocumentedOutput compares the commands and their output in doc/satctl.md with real output.
func TestDocumentedOutput(t *testing.T) {
	s := startStation(t, nil)
	s.waitHealthy(t)
	s.charge(t)
	text := documentation(t)
	t.Chdir(t.TempDir())
	blocks := regexp.MustCompile("(?s)```console\n\\$ satctl ([^\n]*)\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 7 {
		t.Fatalf("only %d commands are shown", len(blocks))
	}
	slices.SortStableFunc(blocks, func(a, b []string) int { return turn(a[1]) - turn(b[1]) })
	stop := sync.OnceFunc(func() {
		s.agent.Stop()
		s.waitFor(t, "connector_2", func(status *control.Status) bool { return status.State == "OutOfService" })
		s.waitFor(t, "aggregator", func(status *control.Status) bool { return status.Health == control.Degraded })
	})
	for _, block := range blocks {
		command, _, _ := strings.Cut(block[1], " #")
		if strings.HasPrefix(command, "discover") || strings.HasPrefix(command, "logs remote_controller") {
			// Their output depends on the network and the time. They have tests of their own.
			continue
		}
		if turn(block[1]) > 1 {
			stop()
		}
		var out output
		if strings.HasPrefix(command, "watch") {
			out.began = func() { s.somethingHappens(t) }
		}
		var failed strings.Builder
		run(t.Context(), strings.Fields(command), surroundings{out: &out, errors: &failed, getenv: func(string) string { return s.directory }})
		if diff := cmp.Diff(alike(block[2]), alike(out.text.String()+failed.String())); diff != "" {
			t.Errorf("satctl %s (-doc +real):\n%s", command, diff)
		}
	}
}

// turn returns the order of a command. watch comes first, because the others count its events. logs comes last, because
// it changes the status of the boards.
func turn(command string) int {
	switch {
	case strings.HasPrefix(command, "watch"):
		return 0
	case strings.HasSuffix(command, "# the satellite is gone"):
		return 2
	case strings.HasPrefix(command, "logs"):
		return 3
	}
	return 1
}

// output calls began after the first Write.
type output struct {
	text  strings.Builder
	began func()
	once  sync.Once
}

func (o *output) Write(text []byte) (int, error) {
	if o.began != nil {
		o.once.Do(func() { go o.began() })
	}
	return o.text.Write(text)
}

// somethingHappens publishes a variable and an error of the satellite.
func (s *station) somethingHappens(t *testing.T) {
	evse := s.port.Module.Provides("evse")
	meter := map[string]any{"timestamp": "2026-11-22T16:00:00.000Z", "energy_Wh_import": map[string]any{"total": 18250}, "power_W": map[string]any{"total": 11040}}
	if err := evse.Publish(context.Background(), "powermeter", meter); err != nil {
		t.Error(err)
	}
	failure := everest.Error{Type: "evse_manager/Inoperative", SubType: "relay", Message: "contactor is welded", Severity: everest.SeverityHigh}
	if err := evse.Raise(context.Background(), failure); err != nil {
		t.Error(err)
	}
	if err := evse.Clear(context.Background(), failure.Type, failure.SubType); err != nil {
		t.Error(err)
	}
}

// TestEveryFieldIsDocumented checks that doc/satctl.md has every field of the JSON.
func TestEveryFieldIsDocumented(t *testing.T) {
	text := documentation(t)
	seen := map[reflect.Type]bool{}
	var check func(reflect.Type)
	check = func(kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct || seen[kind] || !strings.Contains(kind.PkgPath(), "remotechargeport") {
			return
		}
		seen[kind] = true
		for field := range kind.Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("doc/satctl.md lacks the field %s of %v", name, kind)
			}
			check(field.Type)
		}
	}
	check(reflect.TypeFor[moduleStatus]())
	check(reflect.TypeFor[control.Event]())
	if len(seen) < 10 {
		t.Errorf("only %d types were seen", len(seen))
	}
}
