package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/remotechargeport/remotechargeport/aggregator"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/control"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/satellite"
)

func TestMain(m *testing.M) {
	everesttest.Patience = time.Minute // the machine may be busy
	goleak.VerifyTestMain(m)
}

const boardManifest = `
description: what the modules under test need around them
metadata: {license: "https://example.org", authors: [test]}
provides:
  evse: {interface: evse_manager, description: a charge port}
  energy: {interface: energy, description: its energy node}
  system: {interface: system, description: the board's system}
  auth: {interface: auth, description: authorisation}
`

// station is a satellite board and a main board with the real modules and their status sockets in a directory.
type station struct {
	directory         string
	port              *everesttest.Process
	agent, controller *everesttest.Process
	resets            chan string // of which board, and of what type
}

// startStation starts a station. keys are added to the configuration of the agent.
func startStation(t *testing.T, keys map[string]any) *station {
	t.Helper()
	directory, err := os.MkdirTemp("", "satctl") // t.TempDir's name may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	t.Setenv("RUNTIME_DIRECTORY", directory)
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	port := everesttest.FreePort(t)
	to := func(module, implementation string) []everesttest.Connection {
		return []everesttest.Connection{{ModuleID: module, ImplementationID: implementation}}
	}
	agentKeys := map[string]any{"port": port, "listen_address": "127.0.0.1"}
	for key, value := range keys {
		agentKeys[key] = value
	}
	satelliteBoard := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Logger: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)), Modules: map[string]everesttest.ModuleConfig{
		"board": {Module: "Board", Manifest: []byte(boardManifest)},
		"remote_controller": {
			Module: "SatelliteAgent", Manifest: satellite.AgentInstallation().Manifest, Config: agentKeys,
			Connections: map[string][]everesttest.Connection{
				"evse_manager": to("board", "evse"), "energy": to("board", "energy"), "system": to("board", "system"),
			},
		},
	}})
	mainBoard := everesttest.NewManager(t, everesttest.ManagerConfig{Definitions: known, Logger: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)), Modules: map[string]everesttest.ModuleConfig{
		"board": {Module: "Board", Manifest: []byte(boardManifest)},
		"connector_2": {
			Module: "SatelliteController", Manifest: satellite.ControllerInstallation().Manifest, Mapping: &everesttest.ModuleMapping{Module: &everest.Mapping{EVSE: 2}},
			Config: map[string]any{"hostname": "127.0.0.1", "port": port, "on_loss": "isolate", "resume_window_s": 1,
				"link_timeout_ms": 30_000}, // a busy machine must not lose the link
			Connections: map[string][]everesttest.Connection{
				"auth": to("board", "auth"), "system": to("aggregator", "system"),
			},
		},
		"aggregator": {
			Module: "SystemAggregator", Manifest: aggregator.Installation().Manifest,
			Config: map[string]any{
				"upload_url_template":  fmt.Sprintf("http://{my-ip}:%d/", everesttest.FreePort(t)),
				"incoming_uploads_dir": filepath.Join(directory, "incoming"), "state_dir": "",
			},
			Connections: map[string][]everesttest.Connection{
				"system":    append(to("board", "system"), to("connector_2", "system")...),
				"satellite": to("connector_2", "satellite"),
			},
		},
	}})
	log := zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
	s := &station{directory: directory, resets: make(chan string, 10)}
	s.port = everesttest.RunModule(t, satelliteBoard.Options("board"), func(m *everest.Module) { s.boardOf(t, m, "satellite") })
	everesttest.RunModule(t, mainBoard.Options("board"), func(m *everest.Module) { s.boardOf(t, m, "main board") })
	s.agent = everesttest.Run(t, "agent", satellite.NewAgent(satellite.AgentConfig{Everest: satelliteBoard.Options("remote_controller"), Logger: log}).Run)
	// A controller that finds no agent tries again only after a second.
	s.waitFor(t, "remote_controller", func(status *control.Status) bool { return status.Link.ListenAddress != "" })
	s.controller = everesttest.Run(t, "controller", satellite.NewController(satellite.ControllerConfig{Everest: mainBoard.Options("connector_2"), Logger: log}).Run)
	// The agent requests a reset of its board when the controller leaves, but this board never resets.
	t.Cleanup(func() {
		s.controller.Stop()
		s.agent.Stop()
	})
	everesttest.Run(t, "aggregator", aggregator.New(aggregator.Config{Everest: mainBoard.Options("aggregator"), Logger: log}).Run)
	everesttest.WaitReady(t, satelliteBoard)
	everesttest.WaitReady(t, mainBoard)
	s.publish(t, "ready", true)
	return s
}

// publish publishes a variable of the satellite's EVSE.
func (s *station) publish(t *testing.T, variable string, value any) {
	t.Helper()
	if err := s.port.Module.Provides("evse").Publish(t.Context(), variable, value); err != nil {
		t.Error(err)
	}
}

// charge begins a session that charges.
func (s *station) charge(t *testing.T) {
	t.Helper()
	meter := func(register, power int) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"timestamp":"2026-11-22T16:00:00.000Z","energy_Wh_import":{"total":%d},"power_W":{"total":%d}}`, register, power))
	}
	event := func(kind, member string) {
		s.publish(t, "session_event", json.RawMessage(`{"event":"`+kind+`","uuid":"a","timestamp":"2026-11-22T16:00:00.000Z"`+member+`}`))
	}
	event("SessionStarted", `,"session_started":{"reason":"EVConnected","meter_value":`+string(meter(16416, 0))+`}`)
	event("TransactionStarted", `,"transaction_started":{"meter_value":`+string(meter(16416, 0))+`,"id_tag":{"authorization_type":"RFID","id_token":{"type":"ISO14443","value":"04A1B2C3"}}}`)
	event("ChargingStarted", "")
	s.publish(t, "enforced_limits", json.RawMessage(`{"uuid":"a","valid_for":10,"schedule":[],"limits_root_side":{"ac_max_current_A":{"value":16,"source":"grid"},"ac_max_phase_count":{"value":3,"source":"grid"}}}`))
	s.publish(t, "powermeter", meter(18250, 11040))
	s.waitFor(t, "connector_2", func(status *control.Status) bool { return status.EVSE.Power != nil && status.EVSE.Limit != nil })
}

// boardOf handles all commands of a board's modules. The system uploads a log file with this content, which also names
// the board.
func (s *station) boardOf(t *testing.T, m *everest.Module, content string) {
	known, err := satellite.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for implementation, name := range map[string]string{"evse": "evse_manager", "energy": "energy", "system": "system", "auth": "auth"} {
		declared, _ := known.Interface(name)
		for _, command := range declared.Commands {
			if slices.Contains([]string{"get_evse", "upload_logs", "is_reset_allowed", "reset"}, command.Name) {
				continue
			}
			m.Provides(implementation).Handle(command.Name, func(context.Context, everest.Args) (any, error) { return nil, nil })
		}
	}
	m.Provides("evse").Handle("get_evse", func(context.Context, everest.Args) (any, error) {
		return json.RawMessage(`{"id":1,"connectors":[{"id":1}]}`), nil
	})
	m.Provides("system").Handle("is_reset_allowed", func(context.Context, everest.Args) (any, error) { return true, nil })
	m.Provides("system").Handle("reset", func(_ context.Context, arguments everest.Args) (any, error) {
		s.resets <- content + " " + string(arguments["type"])
		return nil, nil
	})
	m.Provides("system").Handle("upload_logs", func(_ context.Context, arguments everest.Args) (any, error) {
		var request struct {
			Location string `json:"location"`
			ID       int64  `json:"request_id"`
		}
		if err := arguments.Decode("upload_logs_request", &request); err != nil {
			return nil, err
		}
		status := "Uploaded"
		if err := put(t.Context(), request.Location+"log.txt", content); err != nil {
			t.Log(err)
			status = "UploadFailure"
		}
		err := m.Provides("system").Publish(t.Context(), "log_status", map[string]any{"request_id": request.ID, "log_status": status})
		return map[string]any{"upload_logs_status": "Accepted", "file_name": "log.txt"}, err
	})
}

func put(ctx context.Context, location, content string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, location, strings.NewReader(content))
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", location, answer.Status)
	}
	return nil
}

// client returns a client of a module of the station.
func (s *station) client(t *testing.T, module string) *control.Client {
	client := control.Dial(filepath.Join(s.directory, module+".sock"))
	t.Cleanup(client.Close)
	return client
}

// waitFor waits until wanted returns true for a module's status.
func (s *station) waitFor(t *testing.T, module string, wanted func(*control.Status) bool) {
	t.Helper()
	client := s.client(t, module)
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		status, err := client.Status(t.Context())
		if err == nil && wanted(status) {
			return
		}
		if time.Since(begin) > everesttest.Patience {
			t.Fatalf("the status of %s stays %+v, %v", module, status, err)
		}
	}
}

func (s *station) waitHealthy(t *testing.T) {
	t.Helper()
	for _, module := range []string{"remote_controller", "connector_2", "aggregator"} {
		s.waitFor(t, module, func(status *control.Status) bool {
			return status.Health == control.Healthy && (status.EVSE == nil || status.EVSE.State != control.EVSEUnknown)
		})
	}
}

// ran is the result of a run of satctl.
type ran struct {
	status      int
	out, errors string
}

// satctl runs satctl on the station's directory.
func (s *station) satctl(t *testing.T, arguments ...string) ran {
	t.Helper()
	return satctl(t, map[string]string{"RUNTIME_DIRECTORY": s.directory}, arguments...)
}

func satctl(t *testing.T, environment map[string]string, arguments ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	var out, failed bytes.Buffer
	status := run(ctx, arguments, surroundings{out: &out, errors: &failed, getenv: func(name string) string { return environment[name] }})
	if ctx.Err() != nil {
		t.Fatalf("satctl %v does not end: %s%s", arguments, out.String(), failed.String())
	}
	return ran{status, out.String(), failed.String()}
}

// expect fails the test where the exit status differs.
func (r ran) expect(t *testing.T, status int) ran {
	t.Helper()
	if r.status != status {
		t.Errorf("exit status %d, want %d\n%s%s", r.status, status, r.out, r.errors)
	}
	return r
}
