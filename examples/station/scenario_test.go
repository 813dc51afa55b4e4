package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// TestScenarios plays every scenario on a station of two satellites, over the real link.
func TestScenarios(t *testing.T) {
	for name, want := range map[string][]string{
		scenarioLogs: {
			"status sequence: Uploading, Uploaded", "0_system/diagnostics.log", "1_connector_2/diagnostics.log",
			"2_connector_3/diagnostics.log", "manifest.json", "archive to the backend",
		},
		scenarioFirmware: {"status sequence: Downloading, Downloaded, SignatureVerified", "status sequence: Installing, InstallRebooting, Installed"},
		scenarioReset:    {"satellite1 is reset", "satellite2 is reset", "main is reset"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var output bytes.Buffer
			if err := runScenario(ctx, Flags{Scenario: name, Satellites: 2, LogLevel: "error"}, newScenarioView(&output, false)); err != nil {
				t.Fatalf("%v\n%s", err, output.String())
			}
			for _, text := range want {
				if !strings.Contains(output.String(), text) {
					t.Errorf("%q is not in the output:\n%s", text, output.String())
				}
			}
		})
	}
}

func TestScenarioFlag(t *testing.T) {
	if _, err := ParseFlags([]string{"-scenario", "tea"}, nil); err == nil || !strings.Contains(err.Error(), "logs, firmware or reset") {
		t.Errorf("an unknown scenario: %v", err)
	}
	flags, err := ParseFlags([]string{"-scenario", "logs"}, nil)
	if err != nil || flags.Scenario != scenarioLogs {
		t.Errorf("%+v %v", flags, err)
	}
}
