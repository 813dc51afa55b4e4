package scenario

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/remotechargeport/remotechargeport/examples/internal/terminal"
)

// TestScenarios plays every scenario on a station of two satellites, over the real link.
func TestScenarios(t *testing.T) {
	for name, want := range map[string][]string{
		Logs: {
			"status sequence: Uploading, Uploaded", "0_system/diagnostics.log", "1_connector_2/diagnostics.log",
			"2_connector_3/diagnostics.log", "manifest.json", "archive to the backend",
		},
		Firmware: {"status sequence: Downloading, Downloaded, SignatureVerified", "status sequence: Installing, InstallRebooting, Installed"},
		Reset:    {"satellite1 is reset", "satellite2 is reset", "main is reset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var output bytes.Buffer
			if err := Run(ctx, Config{Name: name, Satellites: 2, Log: t.Output(), LogLevel: "error", Screen: terminal.New(&output, false)}); err != nil {
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
