package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
)

// installed writes the definitions of EVerest 2026.02.0 to a prefix, with other words and commands.
func installed(t *testing.T, change func(file string, content map[string]any)) (prefix string) {
	t.Helper()
	prefix = t.TempDir()
	if err := everesttest.WriteInstallation(prefix, testDefinitions(t)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"interfaces/system", "interfaces/ocpp", "types/system", "types/network"} {
		path := filepath.Join(prefix, "share/everest", file+".yaml")
		content := map[string]any{"description": "types that 2026.02.0 does not have", "types": map[string]any{}}
		if text, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(text, &content); err != nil {
				t.Fatal(err)
			}
		}
		change(file, content)
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return prefix
}

// before20248 has the spelling of EVerest 2024.7, which is also that of the boards.
func before20248(file string, content map[string]any) {
	if file != "types/system" {
		return
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic(err)
	}
	text = bytes.ReplaceAll(text, []byte(`,"AcceptedCanceled"]`), []byte(`]`)) // of LogStatusEnum and UploadLogsStatus
	text = bytes.ReplaceAll(text, []byte(`"AcceptedCanceled"`), []byte(`"AcceptedCancelled"`))
	text = bytes.ReplaceAll(text, []byte(`"enum":["Accepted","Rejected"]`), []byte(`"enum":["Accepted","Rejected","AcceptedCancelled"]`))
	if err := json.Unmarshal(text, &content); err != nil {
		panic(err)
	}
}

// TestWordsOfTheInstalledRelease: an update and an upload that replace another one, in the words of each release and of
// the OCPP module that hears them.
func TestWordsOfTheInstalledRelease(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config         map[string]any
		answer, status string
	}{
		"2024.7":            {map[string]any{installedAt: installed(t, before20248)}, "AcceptedCancelled", "UploadFailure"},
		"2026.02.0":         {map[string]any{installedAt: installed(t, func(string, map[string]any) {})}, "AcceptedCanceled", "AcceptedCanceled"},
		"OCPP 1.6":          {map[string]any{ocppModule: "OCPP"}, "AcceptedCanceled", "UploadFailure"},
		"perhaps OCPP 1.6":  {map[string]any{ocppModule: "OCPPmulti"}, "AcceptedCanceled", "UploadFailure"},
		"OCPP 2.0.1, as is": {nil, "AcceptedCanceled", "AcceptedCanceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, 2, test.config)
			if answer := call[string](t, s.backend, "update_firmware", unsigned(7)); answer != "Accepted" {
				t.Fatal(answer)
			}
			s.boards[1].set(func(b *testBoard) { b.update = test.answer })
			if answer := call[string](t, s.backend, "update_firmware", unsigned(8)); answer != test.answer {
				t.Errorf("the second update is answered %s, want %s", answer, test.answer)
			}
			answering := func(status string) {
				for _, b := range s.boards {
					b.set(func(b *testBoard) {
						b.logs = func(context.Context, map[string]any) (any, error) {
							return map[string]any{"upload_logs_status": status, "file_name": "logs.txt"}, nil
						}
					})
				}
			}
			answering("Accepted")
			upload := func(id int) string {
				arguments := logsArguments("http://127.0.0.1:1/", map[string]any{"request_id": id, "type": "SecurityLog"})
				return call[logsResponse](t, s.backend, "upload_logs", arguments).Status
			}
			if answer := upload(1); answer != "Accepted" {
				t.Fatal(answer)
			}
			s.backend.expect(t, "1 Uploading")
			answering(test.answer)
			if answer := upload(2); answer != test.answer {
				t.Errorf("the second upload is answered %s, want %s", answer, test.answer)
			}
			s.backend.expect(t, "1 "+test.status, "2 Uploading")
		})
	}
}

// configureNetwork is a command of newer releases.
const configureNetwork = "configure_network"

// withNetwork has the command and the variable that came after 2026.02.1.
func withNetwork(file string, content map[string]any) {
	switch file {
	case "interfaces/system":
		content["cmds"].(map[string]any)[configureNetwork] = map[string]any{
			"description": "configures", "arguments": map[string]any{"request": map[string]any{"description": "what", "type": "object"}},
			"result": map[string]any{"description": "answer", "type": "object", "$ref": "/network#/ConfigureNetworkResponse"},
		}
		content["vars"].(map[string]any)["configure_network_status"] = map[string]any{"description": "its end", "type": "object"}
	case "types/network":
		content["types"] = map[string]any{"ConfigureNetworkResponse": map[string]any{
			"description": "answer", "type": "object", "required": []string{"status"}, "properties": map[string]any{
				"status": map[string]any{"type": "string", "enum": []string{"Ready", "Processing", "Failed", "Rejected", "NotSupported"}},
			},
		}}
	}
}

// TestCommandsOfANewerRelease: the network is the main board's, and nobody waits for an answer in vain.
func TestCommandsOfANewerRelease(t *testing.T) {
	t.Parallel()
	s := newStation(t, 2, map[string]any{installedAt: installed(t, withNetwork), "board_timeout": 60})
	ask := func() map[string]any {
		return call[map[string]any](t, s.backend, configureNetwork, map[string]any{"request": map[string]any{"request_id": 3}})
	}
	if diff := cmp.Diff(map[string]any{"status": "Ready", "interface_address": "wwan0"}, ask()); diff != "" {
		t.Error(diff)
	}
	s.boards[0].wasCalled(t, configureNetwork)
	s.boards[1].wasNotCalled(t)
	final := map[string]any{"request_id": 3.0, "status": "Ready"}
	if err := s.boards[0].module.Provides("main").Publish(t.Context(), "configure_network_status", final); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(final, <-s.backend.network); diff != "" {
		t.Error(diff)
	}
	s.boards[0].beSilent()
	if diff := cmp.Diff(map[string]any{"status": "NotSupported"}, ask()); diff != "" {
		t.Error(diff)
	}
}
