package scenario

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/everest/everesttest/ocppframes"
	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

var (
	long    = flag.Bool("long", false, "play also scenarios that are not quick")
	rewrite = flag.Bool("rewrite", false, "write what the backend has into testdata; read the difference before it is committed")
)

func TestJudgeOfStories(t *testing.T) {
	type heard = heardStatus
	for _, test := range []struct {
		statuses []heard
		wrong    string
	}{
		{[]heard{{RequestID: 7, Status: "Downloading"}, {RequestID: 8, Status: "Downloading"}, {RequestID: 8, Status: "Downloaded"}}, ""},
		{[]heard{{RequestID: 8, Status: "Downloading"}, {RequestID: 7, Status: "Downloaded"}}, "Downloaded of request 7 after request 8"},
		{[]heard{{RequestID: 9, Status: "Downloading"}}, "Downloading of request 9"},
		{[]heard{{RequestID: 7, Status: "DownloadFailed"}, {RequestID: 7, Status: "Downloading"}}, "after DownloadFailed"},
		{[]heard{{RequestID: 41, Status: "Uploading", Log: true}, {RequestID: 41, Status: "Uploaded", Log: true}}, ""},
		{[]heard{{RequestID: 41, Status: "Uploading", Log: true}, {RequestID: 41, Status: "Uploading", Log: true}}, "Uploading, Uploading"},
		{[]heard{{RequestID: 41, Status: "Uploaded", Log: true}}, "the statuses Uploaded"},
		{[]heard{{RequestID: 41, Status: "Uploading", Log: true}, {RequestID: 41, Status: "UploadFailure", Log: true}, {RequestID: 41, Status: "Uploaded", Log: true}}, "UploadFailure, Uploaded"},
		{[]heard{{RequestID: 42, Status: "Uploading", Log: true}}, "before a request was accepted"},
		{[]heard{{RequestID: 7, Status: "Downloading", Forgotten: true}}, "OCPP forgets it"},
	} {
		s := &scenario{Config: Config{Satellites: 2}, view: terminal.NewBars(terminal.New(t.Output(), false)), record: record{version: ocppframes.OCPP201}}
		story := newTelling(s, stories["firmware-replaced"])
		story.files[41] = "archive"
		s.record.request(requestOf{true, 41}, "GetLog")
		story.answered(6, "Rejected")
		story.answered(7, "Accepted")
		story.answered(8, "AcceptedCanceled")
		var err error
		for _, status := range test.statuses {
			err = errors.Join(err, story.hear(t.Context(), status))
		}
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%v: error %v, want one with %q", test.statuses, err, test.wrong)
		}
	}
	flashed := &telling{flashed: "main is reset while satellite1 is being flashed"}
	if err := flashed.await(t.Context(), func() string { return "" }); err == nil || !strings.Contains(err.Error(), "main is reset while satellite1") {
		t.Errorf("the reset of a board that is being flashed: %v", err)
	}
}

// TestJudgeAfterRestarts: what is lost with OCPP's process is taken for heard, and nothing else.
func TestJudgeAfterRestarts(t *testing.T) {
	const restart = "-"
	for heard, want := range map[string]string{
		"Downloading - SignatureVerified - Installed":                           "Downloading Downloaded SignatureVerified Installing Installed",
		"Downloading Downloaded SignatureVerified - InstallRebooting Installed": "Downloading Downloaded SignatureVerified Installing InstallRebooting Installed",
		"Downloading Downloaded SignatureVerified - SignatureVerified":          "Downloading Downloaded SignatureVerified",
		"Downloading SignatureVerified - Installing":                            "",
		"Downloading - Downloading":                                             "",
	} {
		j := judge{signed: true}
		j.Answer(7, true, "Accepted")
		var err error
		for _, status := range strings.Fields(heard) {
			if status == restart {
				j.restarted()
			} else if err == nil {
				err = j.hear(heardStatus{RequestID: 7, Status: status})
			}
		}
		if got := strings.Join(j.Heard, " "); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %s, %v", heard, got, err)
		}
	}
}

// TestScenarios plays every scenario on a station of two satellites, over the real link. What the backend has requested,
// and the frames that it has got, are in testdata: a line that begins with ? may be missing, because a slow machine
// passes that state. -rewrite writes the files.
func TestScenarios(t *testing.T) {
	shown := map[string][]string{
		Logs: {
			"status sequence: Uploading, Uploaded", "0_system/diagnostics.log", "1_connector_2/diagnostics.log",
			"2_connector_3/diagnostics.log", "manifest.json", "archive to the backend",
		},
		Boards: {
			`"Accepted" "{\"boards\":[{\"index\":0,\"name\":\"0_system\",\"connected\":true,`, `{\"index\":2,\"name\":\"2_connector_3\",\"evse\":3,\"connected\":true,`,
			`"Accepted" "{\"board\":\"1_connector_2\"}"`, "satellite1 is reset", "connector_2 is back in service",
		},
		"boards-satctl": {"satctl reset connector_2: 1_connector_2", "satellite1 is reset", "connector_2 is back in service"},
		Firmware:        {`to the backend: FirmwareStatusNotification {"requestId":7,"status":"Installed"}`, "status sequence: Installing, InstallRebooting, Installed"},
	}
	for _, name := range Names() {
		story, told := stories[name]
		if told && !story.quick && !*long {
			continue
		}
		want := shown[name]
		if told && want == nil {
			want = []string{map[bool]string{true: "status sequence of log", false: "all boards are in service"}[story.logs]}
		}
		t.Run(name, func(t *testing.T) {
			if story.satellites == 0 {
				t.Parallel()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var output, frames bytes.Buffer
			if err := Run(ctx, Config{
				Name: name, Satellites: 2, Log: t.Output(), LogLevel: "error", Screen: terminal.New(&output, false), Frames: &frames,
			}); err != nil {
				t.Fatalf("%v\n%s", err, output.String())
			}
			for _, text := range want {
				if !strings.Contains(output.String(), text) {
					t.Errorf("%q is not in the output:\n%s", text, output.String())
				}
			}
			path := filepath.Join("testdata", name+".txt")
			if *rewrite {
				// Whether all boards are there at once depends on the machine.
				passed := regexp.MustCompile(`(?m)^(.*"InstallRebooting".*)$`).ReplaceAllString(frames.String(), "?$1")
				if err := os.WriteFile(path, []byte(passed), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			expected, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !fits(string(expected), frames.String()) {
				t.Errorf("the backend has\n%swhich does not fit %s\n%s", frames.String(), path, expected)
			}
		})
	}
}

// fits reports whether the lines are the expected ones, of which those that begin with ? may be missing. A line "or"
// separates what may come instead.
func fits(expected, lines string) bool {
	for _, one := range strings.Split(expected, "or\n") {
		got := strings.Split(lines, "\n")
		fit := true
		for _, want := range strings.Split(one, "\n") {
			text, may := strings.CutPrefix(want, "?")
			switch {
			case len(got) > 0 && got[0] == text:
				got = got[1:]
			case !may:
				fit = false
			}
		}
		if fit && len(got) == 0 {
			return true
		}
	}
	return false
}

// TestScenariosHaveFrames: each scenario has a file, also one that only -long plays, and each file a scenario.
func TestScenariosHaveFrames(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, path := range paths {
		files = append(files, strings.TrimSuffix(filepath.Base(path), ".txt"))
	}
	slices.Sort(files) // Glob sorts with the extensions
	if names := slices.Sorted(slices.Values(Names())); !slices.Equal(files, names) {
		t.Errorf("the files are those of %q, and the scenarios %q", files, names)
	}
}

func TestFits(t *testing.T) {
	const expected = "a\n?  b\n  c\nor\na\n  d\n"
	for lines, want := range map[string]bool{
		"a\n  b\n  c\n": true, "a\n  c\n": true, "a\n  d\n": true, "a\n  b\n": false, "a\n  b\n  d\n": false, "a\n  c\n  b\n": false, "": false,
	} {
		if fits(expected, lines) != want {
			t.Errorf("%q fits: %t", lines, !want)
		}
	}
}
