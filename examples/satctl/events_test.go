package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/examples/internal/events"
)

// charging is the status of a controller whose EVSE charges.
func charging(began time.Time) control.Status {
	return control.Status{
		Module: "SatelliteController", ModuleID: "connector_2", State: "Working", Health: control.Healthy,
		Started: began.Add(-time.Hour), Taken: began.Add(time.Minute), UptimeSeconds: (time.Hour + time.Minute).Seconds(),
		Link: &control.Link{Role: "controller", Connected: true},
		EVSE: &control.EVSE{Number: 2, State: control.EVSECharging, Since: began, SessionSince: &began, TokenKind: "RFID", Errors: []control.EVSEError{
			{Type: "evse_board_support/MREC18CableOverTempDerate", Severity: "Medium", Text: "\x1b[2J90 °C", Since: began.Add(time.Second)},
		}},
	}
}

// What satctl serve sees stays in its file over a restart, and satctl events shows it.
func TestEventsOverARestartOfServe(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	directory, err := os.MkdirTemp("", "events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	state := filepath.Join(directory, "state")
	getenv := func(name string) string { return map[string]string{"STATE_DIRECTORY": state}[name] }
	satctl := func(arguments ...string) (int, string) {
		var out bytes.Buffer
		return run(t.Context(), arguments, surroundings{out: &out, errors: &out, getenv: getenv}), out.String()
	}
	if status, out := satctl("events"); status != exitUnreachable || !strings.Contains(out, "satctl serve --events writes it") {
		t.Errorf("without a file: %d %s", status, out)
	}
	serveModule(t, filepath.Join(directory, "connector_2.sock"), charging(time.Now().Add(-time.Minute)))
	for range 3 {
		serveUntil(t, directory, getenv, func(events []events.Event) bool { return len(events) == 3 })
	}
	status, out := satctl("events")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != exitWell || len(lines) != 3 || !strings.HasSuffix(lines[0], "  working  EVSE 2, connector_2  The module has started.") ||
		!strings.HasSuffix(lines[1], "A session began, authorized by RFID.") || !strings.Contains(lines[2], "  trouble  EVSE 2, connector_2  The cable is hot: the current is reduced: ") || strings.Contains(out, "\x1b") {
		t.Errorf("%d %q", status, out)
	}
	if status, out := satctl("events", "--since", "30m", "--json", "connector_2", "other"); status != exitWell || strings.Count(out, `"module_id":"connector_2"`) != 2 {
		t.Errorf("of 30 minutes: %d %s", status, out)
	}
	if _, out := satctl("events", "other"); out != "Nothing has happened.\n" {
		t.Errorf("of another module: %s", out)
	}
}

// serveUntil runs satctl serve until its page has the module and the events.
func serveUntil(t *testing.T, directory string, getenv func(string) string, enough func([]events.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	output, writer := io.Pipe()
	var problems bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-directory", directory, "-listen", "127.0.0.1:0"}, surroundings{out: writer, errors: &problems, getenv: getenv})
		writer.Close()
	}()
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("%q %v %s", address, err, problems.String())
	}
	var shown struct {
		Boards []struct{ Answers bool }
		Events []events.Event
	}
	for begin := time.Now(); len(shown.Boards) == 0 || !shown.Boards[0].Answers || !enough(shown.Events); time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(strings.TrimSpace(address) + "status.json")
		if err == nil {
			err = json.NewDecoder(response.Body).Decode(&shown)
			response.Body.Close()
		}
		if err != nil || time.Since(begin) > serveLimit {
			t.Fatalf("the page has %+v, %v", shown, err)
		}
	}
	cancel()
	if status := <-ended; status != exitWell {
		t.Errorf("exit status %d: %s", status, problems.String())
	}
}
