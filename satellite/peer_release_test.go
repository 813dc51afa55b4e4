package satellite_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/install"
	"github.com/remotechargeport/remotechargeport/everest/schema"
	"github.com/remotechargeport/remotechargeport/satellite"
	"github.com/remotechargeport/remotechargeport/satellite/internal/link"
)

// The C++ agent of an older release lacks commands of this board's EVerest. They get a negative result, because a caller in
// C++ may end on an error. The log has one line for each command.
func TestCommandsThatTheAgentLacks(t *testing.T) {
	t.Parallel()
	agent := startScriptedAgent(t, readExchanges(t, "startup.jsonl")[:2])
	known := []string{link.FunctionIAmHere, link.FunctionIAmReady, link.FunctionRetrieve}
	agent.lacks = func(function string) bool { return !slices.Contains(known, function) }
	core, entries := observer.New(zap.WarnLevel)
	s := &station{arrivals: make(chan arrival, 100)}
	s.main = startMain(t, everesttest.NewBroker(t), agent.listener.Addr().(*net.TCPAddr).Port, satellite.ControllerConfig{Logger: zap.New(core)}, s.listen)
	s.main.waitReady()
	for command, want := range map[string]string{
		"display_message.clear_display_message": `{"status":"Unknown"}`, "evse_manager.reserve": "false", "evse_manager.cancel_reservation": "null",
		"evse_manager.update_allowed_energy_transfer_modes": `"IncompatibleEnergyTransfer"`,
	} {
		id, name, _ := strings.Cut(command, ".")
		declared, _ := definitions(t).Interface(id)
		for range 2 {
			var result json.RawMessage
			err := s.main.required(id).Call(t.Context(), name, (sampler{t, definitions(t)}).arguments(declared.Commands[name]), &result)
			if err != nil || string(result) != want {
				t.Errorf("%s: %s, %v, want %s", command, result, err, want)
			}
		}
		lines := entries.FilterMessage("command is not tunnelled").FilterField(zap.String("command", name)).Len()
		if lines != 1 {
			t.Errorf("%d lines about %s", lines, command)
		}
	}
}

// EVerest 2026.02.0 lacks the list of a power meter's errors, and the releases around it have it: there the interface
// satellite declares them, so the main board gets them.
func TestErrorsOfPowerMetersByRelease(t *testing.T) {
	t.Parallel()
	for _, has := range []bool{false, true} {
		prefix := everestWith(t, definitions(t))
		if has {
			list := "description: Power meters\nerrors:\n  - {name: CommunicationFault, description: It is silent}\n"
			if err := os.WriteFile(filepath.Join(prefix, "share/everest/errors/powermeter.yaml"), []byte(list), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		report, err := installReport(t, prefix, satellite.ControllerInstallation(), nil)
		if err != nil || strings.Contains(report, "left out: errors /errors/powermeter") == has {
			t.Errorf("report of an EVerest that has the list (%v): %v\n%s", has, err, report)
		}
		installed, err := install.InstalledInterfaces(prefix, "satellite")
		if err != nil {
			t.Fatal(err)
		}
		if declared, _ := installed.Interface("satellite"); declared.HasErrorType("powermeter/CommunicationFault") != has {
			t.Errorf("declared: %v", declared.ErrorTypes)
		}
	}
}

// Boards of two releases tunnel what both have. For the rest there is a negative result or nothing, and one line on each
// board.
func TestBoardsOfTwoReleases(t *testing.T) {
	t.Parallel()
	older, err := schema.LoadJSON([]byte(`{"interfaces":{"evse_manager":{
		"cmds":{"get_evse":{"result":{"type":"object"}},"pause_charging":{"result":{"type":"boolean"}},"set_faulted":{},
			"stop_transaction":{"arguments":{"request":{"type":"object"}},"result":{"type":"boolean"}}},
		"vars":{"session_event":{"type":"object"},"ev_info":{"type":"object"},"iso15118_certificate_request":{"type":"object"}}}}}`), []byte(`{"types":{}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, dialect := range []string{"v2", "legacy"} {
		t.Run(dialect, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			log := zap.New(core)
			s := startStation(t, everesttest.NewBroker(t), satelliteOptions{
				definitions: older.Over(definitions(t)), dialect: dialect, main: map[string]any{"dialect": dialect},
				agent: satellite.AgentConfig{Logger: log}, controller: satellite.ControllerConfig{Logger: log},
			})
			call := func(command, want string) {
				t.Helper()
				declared, _ := definitions(t).Interface("evse_manager")
				var result json.RawMessage
				err := s.main.required("evse_manager").Call(t.Context(), command, (sampler{t, definitions(t)}).arguments(declared.Commands[command]), &result)
				if err != nil || string(result) != want {
					t.Errorf("%s: %s, %v, want %s", command, result, err, want)
				}
			}
			for range 2 {
				call("reserve", "false")
				call("withdraw_authorization", "null")
				call("update_allowed_energy_transfer_modes", `"IncompatibleEnergyTransfer"`)
			}
			call("pause_charging", "true")
			port := s.satellite.port.module.Provides("evse_manager")
			for range 2 {
				if err := port.Publish(t.Context(), "iso15118_certificate_request", json.RawMessage(`{"x":1}`)); err != nil {
					t.Fatal(err)
				}
			}
			// Its form is of no release: a value passes as it is, whatever the main board knows.
			if err := port.Publish(t.Context(), "ev_info", json.RawMessage(`{"new":"form","soc":1.50}`)); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, s.arrivals, "the value"); got.Variable != "ev_info" || got.Value != `{"new":"form","soc":1.50}` {
				t.Errorf("arrived: %+v", got)
			}
			lines := map[string]int{}
			for _, entry := range logs.All() {
				fields := entry.ContextMap()
				if name, about := fields["command"]; about {
					lines["command "+name.(string)]++
				} else if name, about := fields["variable"]; about {
					lines["variable "+name.(string)]++
				}
			}
			want := map[string]int{"command reserve": 1, "command withdraw_authorization": 1, "command update_allowed_energy_transfer_modes": 1, "variable iso15118_certificate_request": 1}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}
