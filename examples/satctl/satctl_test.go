package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
)

// TestStation runs satctl on a station that works.
func TestStation(t *testing.T) {
	s := startStation(t, nil)
	s.waitHealthy(t)
	t.Run("Status", func(t *testing.T) { testStatus(t, s) }) // first: the others change the status
	t.Run("Ping", func(t *testing.T) { testPing(t, s) })
	t.Run("Watch", func(t *testing.T) { testWatch(t, s) })
	t.Run("Logs", func(t *testing.T) { testLogs(t, s) })
	t.Run("Bugreport", func(t *testing.T) { testBugreport(t, s) })
}

func testStatus(t *testing.T, s *station) {
	table := s.satctl(t, "status").expect(t, exitWell)
	for _, want := range []string{
		`^EVSE +LEVEL +STATE +SINCE +SESSION +ENERGY +POWER +LIMIT +TOKEN +MODULE\n2 +working +Available +\d+ s +- +- +- +- +- +connector_2\n\n`,
		`(?m)^MODULE +HEALTH +STATE +PEER +DIALECT +SECURITY +LATENCY +WAITING +EVENTS +COMMANDS +RESUMES +UP$`,
		`(?m)^aggregator +ok +Ready +2 boards `,
		`(?m)^connector_2 +ok +Working +127\.0\.0\.1:\d+ +v2 +\S+ +[0-9.]+ms +0 +\d+ +\d+ +0 `,
		`(?m)^  remote_controller +ok +Working +127\.0\.0\.1:\d+ +v2 `,
		`(?m)^remote_controller +ok +Working `,
		`(?m)^BOARD +SYSTEM +LINK +FIRMWARE +LOGS\n0 +board +connected +- +-\n1 +connector_2 +connected +- +-\n`,
	} {
		if !regexp.MustCompile(want).MatchString(table.out) {
			t.Errorf("the table lacks %s:\n%s", want, table.out)
		}
	}

	detailed := s.satctl(t, "status", "-verbose", "connector_2").expect(t, exitWell)
	for _, want := range []string{"Latency last ", "Other board ", "Journal ", "Listens at ", "Taken out of service ", "Broker "} {
		if !strings.Contains(strings.Join(strings.Fields(detailed.out), " "), strings.TrimSpace(want)) {
			t.Errorf("the details lack %q:\n%s", want, detailed.out)
		}
	}

	lines := strings.Split(strings.TrimSpace(s.satctl(t, "status", "-json").expect(t, exitWell).out), "\n")
	if len(lines) != 3 {
		t.Fatalf("lines %q", lines)
	}
	var controller struct {
		control.Status
		Socket string `json:"socket"`
	}
	if err := json.Unmarshal([]byte(lines[1]), &controller); err != nil || controller.ModuleID != "connector_2" || controller.Link.Dialect != "v2" ||
		controller.Peer.Status.ModuleID != "remote_controller" || controller.Socket != filepath.Join(s.directory, "connector_2.sock") {
		t.Errorf("%v in %s", err, lines[1])
	}
}

func TestStatusOfDegradedStation(t *testing.T) {
	s := startStation(t, nil)
	s.waitHealthy(t)
	s.agent.Stop()
	s.waitFor(t, "connector_2", func(status *control.Status) bool { return status.State == "OutOfService" })
	s.waitFor(t, "aggregator", func(status *control.Status) bool { return status.Health == control.Degraded })
	table := s.satctl(t, "status").expect(t, exitNotWorking).out
	for _, want := range []string{
		`(?m)^connector_2 +degraded +OutOfService `, `^EVSE .*\n2 +down +Unknown, was Available `,
		`(?m)^down +EVSE 2, connector_2: The satellite is lost\. .* no agent listens: `, `(?m)^trouble +aggregator: No link to 1_connector_2`, `(?m)^1 +connector_2 +lost `,
	} {
		if !regexp.MustCompile(want).MatchString(table) {
			t.Errorf("the table lacks %s:\n%s", want, table)
		}
	}
	if got := s.satctl(t, "ping", "-c", "2", "-i", "1ms").expect(t, exitNotWorking).out; !strings.Contains(got, "no answer: no link to the satellite") ||
		!strings.Contains(got, "2 sent, 0 answered, 100% lost") {
		t.Errorf("ping:\n%s", got)
	}
	// The exit status of a socket without a process is higher than that of a degraded module.
	dead := filepath.Join(s.directory, "dead.sock")
	deadSocket(t, dead)
	got := s.satctl(t, "status").expect(t, exitUnreachable)
	if !strings.Contains(got.out, "dead: No process serves its status socket") {
		t.Errorf("output:\n%s", got.out)
	}
	if lines := s.satctl(t, "status", "--json", "dead").expect(t, exitUnreachable).out; !strings.Contains(lines, `"error":"control: the module cannot be reached`) {
		t.Errorf("JSON: %s", lines)
	}
}

func testPing(t *testing.T, s *station) {
	got := s.satctl(t, "ping", "-c", "3", "-i", "1ms").expect(t, exitWell).out
	want := regexp.MustCompile(`^(connector_2 at 127\.0\.0\.1:\d+: seq=\d time=[0-9.]+m?s \(v2, link_ping\)\n){3}
--- connector_2 ping statistics ---
3 sent, 3 answered, 0% lost
round trip min/avg/max/stddev = [0-9.ms/]+
$`)
	if !want.MatchString(got) {
		t.Errorf("ping:\n%s", got)
	}
	var summary pingSummary
	lines := strings.Split(strings.TrimSpace(s.satctl(t, "ping", "-c1", "--json", "connector_2").expect(t, exitWell).out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"round_trip_s":`) || json.Unmarshal([]byte(lines[1]), &summary) != nil || summary.Answered != 1 || summary.Average <= 0 {
		t.Errorf("lines %q", lines)
	}
	if got := s.satctl(t, "ping", "-c1", "--size", "5000").expect(t, exitWell).out; !strings.Contains(got, ": seq=1 size=5000 time=") || !strings.Contains(got, "(v2, link_echo)") {
		t.Errorf("ping of a size:\n%s", got)
	}
	if got := s.satctl(t, "ping", "-c1", "--size", "1048576", "--json").expect(t, exitWell).out; !strings.Contains(got, `"size":1048576,`) {
		t.Errorf("ping of the largest size:\n%s", got)
	}
	if got := s.satctl(t, "ping", "-c1", "--size", "1048577").expect(t, exitNotWorking).out; !strings.Contains(got, "1048576 bytes at most") {
		t.Errorf("ping of too large a size:\n%s", got)
	}
	if got := s.satctl(t, "ping", "--size=-1").expect(t, exitUsage).errors; !strings.Contains(got, "size must not be negative") {
		t.Errorf("ping of a size below 0: %s", got)
	}
	if got := s.satctl(t, "ping", "aggregator").expect(t, exitNever).errors; !strings.Contains(got, "ping a controller") {
		t.Errorf("ping of an aggregator: %s", got)
	}
	if got := s.satctl(t, "ping", "remote_controller").expect(t, exitNever).errors; !strings.Contains(got, "ping from the main board") {
		t.Errorf("ping of an agent: %s", got)
	}
}

func TestPingLegacyAgent(t *testing.T) {
	s := startStation(t, map[string]any{"dialect": "legacy"})
	s.waitFor(t, "connector_2", func(status *control.Status) bool { return status.Health == control.Healthy })
	if got := s.satctl(t, "ping", "-c1").expect(t, exitWell).out; !strings.Contains(got, "(legacy, retrieve_vars_and_errors)") {
		t.Errorf("ping:\n%s", got)
	}
	if got := s.satctl(t, "ping", "-c1", "--size", "1400").expect(t, exitNever).errors; !strings.Contains(got, "ping without one") {
		t.Errorf("ping of a size: %s", got)
	}
	if got := s.satctl(t, "status", "-v", "connector_2").expect(t, exitWell).out; !strings.Contains(got, "speaks the legacy dialect") {
		t.Errorf("status:\n%s", got)
	}
}

func testWatch(t *testing.T, s *station) {
	// The first event is the state. All later events are shown.
	first, rest := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"watch", "-n", "4", "connector_2"}, surroundings{out: rest, errors: rest, getenv: func(string) string { return s.directory }})
		rest.Close()
	}()
	var seen bytes.Buffer
	line := func() {
		t.Helper()
		for one := make([]byte, 1); ; {
			if _, err := first.Read(one); err != nil {
				t.Fatal(err)
			}
			seen.Write(one)
			if one[0] == '\n' {
				return
			}
		}
	}
	line()
	evse := s.port.Module.Provides("evse")
	if err := evse.Publish(t.Context(), "evse_id", "DE*TST*E1"); err != nil {
		t.Fatal(err)
	}
	line()
	if err := evse.Raise(t.Context(), everest.Error{Type: "evse_manager/Inoperative", SubType: "relay", Message: "welded", Severity: everest.SeverityHigh}); err != nil {
		t.Fatal(err)
	}
	line()
	if err := evse.Clear(t.Context(), "evse_manager/Inoperative", "relay"); err != nil {
		t.Fatal(err)
	}
	line()
	if status := <-ended; status != exitWell {
		t.Errorf("exit status %d", status)
	}
	stamp := `\d\d:\d\d:\d\d\.\d{3}  connector_2  `
	want := regexp.MustCompile("^" + stamp + `state Working \(ok\)\n` +
		stamp + `evse_manager\.evse_id "DE\*TST\*E1"\n` +
		stamp + `error raised: evse_manager/Inoperative/relay of board \(High\) welded\n` +
		stamp + `error cleared: evse_manager/Inoperative/relay of board \(High\) welded\n$`)
	if !want.MatchString(seen.String()) {
		t.Errorf("seen:\n%s", seen.String())
	}
}

func TestWatchOnly(t *testing.T) {
	variable := control.Event{Kind: control.KindVariable, Interface: "evse_manager", Variable: "powermeter"}
	raised := control.Event{Kind: control.KindRaised, Error: []byte(`{"type":"evse_manager/Inoperative"}`)}
	for _, test := range []struct {
		only  []string
		event control.Event
		want  bool
	}{
		{nil, variable, true},
		{[]string{"evse_manager.powermeter"}, variable, true},
		{[]string{"evse_manager.*"}, variable, true},
		{[]string{"energy.*"}, variable, false},
		{[]string{"energy.*", "*.powermeter"}, variable, true},
		{[]string{"evse_manager/*"}, raised, true},
		{[]string{"evse_manager.*"}, raised, false},
		{[]string{"*.*"}, control.Event{Kind: control.KindState}, false},
		{[]string{"energy.*"}, control.Event{Kind: control.KindLost}, true},
	} {
		if got := (&watchCommand{Only: test.only}).wanted(test.event); got != test.want {
			t.Errorf("%v shows %+v: %v", test.only, test.event, got)
		}
	}
}

func testLogs(t *testing.T, s *station) {
	t.Chdir(t.TempDir())
	got := s.satctl(t, "logs").expect(t, exitWell).out
	name, _, _ := strings.Cut(got, ":")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v in %q", err, got)
	}
	if info, _ := os.Stat(name); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	files := map[string]string{}
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for packed := tar.NewReader(compressed); ; {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(packed)
		files[header.Name] = string(text)
	}
	if files["0_board/log.txt"] != "main board" || files["1_connector_2/log.txt"] != "satellite" || files["manifest.json"] == "" {
		t.Errorf("files %v", files)
	}
	if got := s.satctl(t, "logs", "-o", "named.tar.gz", "-json").expect(t, exitWell).out; !strings.Contains(got, `{"file":"named.tar.gz","bytes":`) {
		t.Errorf("output %s", got)
	}
	s.satctl(t, "logs", "connector_2", "-o", "nowhere/log").expect(t, exitNotWorking)
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 2 {
		t.Errorf("files that are left: %v, %v", entries, err)
	}
	s.satctl(t, "logs", "-o", "-", "remote_controller").expect(t, exitWell)
}

func TestInvalidCommandLines(t *testing.T) {
	empty := t.TempDir()
	environment := map[string]string{"RUNTIME_DIRECTORY": empty}
	for _, test := range []struct {
		arguments string
		status    int
		text      string
	}{
		{"", exitUsage, "expected one of"},
		{"stauts", exitUsage, "did you mean"},
		{"status --nonsense", exitUsage, "unknown flag"},
		{"status --socket a --directory b", exitUsage, "either"},
		{"ping --count=-1", exitUsage, "negative"},
		{"watch --only [", exitUsage, "--only ["},
		{"completion tcsh", exitUsage, "bash"},
		{"discover", exitUsage, "<interface>"},
		{"status", exitUnreachable, "no status socket in " + empty},
		{"status --directory " + empty + "/none", exitUnreachable, "--directory"},
		{"ping --socket " + empty + "/none.sock", exitUnreachable, "cannot be reached"},
		{"watch --socket " + empty + "/none.sock", exitUnreachable, "cannot be reached"},
		{"logs --socket " + empty + "/none.sock", exitUnreachable, "cannot be reached"},
	} {
		got := satctl(t, environment, strings.Fields(test.arguments)...).expect(t, test.status)
		if !strings.Contains(got.errors, test.text) {
			t.Errorf("satctl %s says %q, want %q", test.arguments, got.errors, test.text)
		}
	}
	help := satctl(t, environment, "-help").expect(t, exitWell)
	for _, command := range []string{"status", "watch", "ping", "discover", "logs", "completion"} {
		if !strings.Contains(help.out, command) {
			t.Errorf("the help lacks %s:\n%s", command, help.out)
		}
	}
	if strings.Contains(help.out, "__complete") {
		t.Error("the help shows a hidden command")
	}
}

func TestTimes(t *testing.T) {
	for value, want := range map[float64]string{0.0000123: "0.01ms", 0.0123: "12.30ms", 0.345: "345ms", 12: "12.00s"} {
		if got := seconds(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
	for value, want := range map[float64]string{61.9: "1m1s", 3 * 3600: "3h0m0s", (49 * time.Hour).Seconds(): "2d01h"} {
		if got := uptime(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
}
