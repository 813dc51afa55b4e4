package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/remotechargeport/remotechargeport/aggregator/internal/testenv"
	"github.com/remotechargeport/remotechargeport/aggregator/transfer"
	"github.com/remotechargeport/remotechargeport/everest"
	"github.com/remotechargeport/remotechargeport/everest/everesttest"
	"github.com/remotechargeport/remotechargeport/everest/schema"
)

const (
	boardManifest = `
description: stand-in for a board's system module and its link
metadata: {license: "https://example.org", authors: [test]}
provides:
  main: {interface: system, description: the board's system}
  satellite: {interface: satellite, description: the board's link}
`
	backendManifest = `
description: stand-in for OCPP
metadata: {license: "https://example.org", authors: [test]}
requires:
  system: {interface: system}
`
)

func testDefinitions(t testing.TB) *schema.Definitions {
	t.Helper()
	known, err := schema.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	known, err = known.WithInterface("satellite", satelliteInterface)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// testStation is a station of simulated boards, an aggregator, and something that plays OCPP's part.
type testStation struct {
	t          testing.TB
	manager    *everesttest.Manager
	boards     []*testBoard
	aggregator *everesttest.Process
	backend    *testBackend
	logs       *observer.ObservedLogs
	patient    bool
	logged     chan struct{} // gets a value when a line was logged
	config     map[string]any
	directory  string
	log        *zap.Logger
}

// testBoard is one board. Its fields are its replies.
type testBoard struct {
	index  int
	module *everest.Module

	mu      sync.Mutex
	calls   []string
	update  string // answer to update_firmware
	logs    func(ctx context.Context, request map[string]any) (any, error)
	yes     bool
	silence chan struct{} // no command returns until it is closed
	address string
	remote  string
	linked  bool
	// called gets every command.
	called chan string
}

func (b *testBoard) set(change func(*testBoard)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *testBoard) beSilent() {
	b.set(func(b *testBoard) { b.silence = make(chan struct{}) })
}

func (b *testBoard) speak() {
	b.set(func(b *testBoard) { close(b.silence); b.silence = nil })
}

// answer handles a command of the board.
func (b *testBoard) answer(ctx context.Context, command string, arguments everest.Args) (any, error) {
	b.mu.Lock()
	b.calls = append(b.calls, command)
	silence, update, logs, yes := b.silence, b.update, b.logs, b.yes
	b.mu.Unlock()
	b.called <- command
	if silence != nil {
		select {
		case <-silence:
		case <-ctx.Done():
		}
		return nil, everest.ErrClosed
	}
	switch command {
	case "update_firmware":
		return update, nil
	case "upload_logs":
		var request map[string]any
		if err := arguments.Decode("upload_logs_request", &request); err != nil {
			return nil, err
		}
		return logs(ctx, request)
	case "is_reset_allowed", "set_system_time":
		return yes, nil
	case "get_boot_reason":
		return map[bool]string{true: "PowerUp", false: "Watchdog"}[b.index == 0], nil
	}
	return nil, nil
}

func (b *testBoard) firmware(t testing.TB, id int64, status string) {
	t.Helper()
	if err := b.module.Provides("main").Publish(t.Context(), "firmware_update_status", report{RequestID: id, Firmware: status}); err != nil {
		t.Fatal(err)
	}
}

func (b *testBoard) report(ctx context.Context, id any, status string) error {
	return b.module.Provides("main").Publish(ctx, "log_status", map[string]any{"request_id": id, "log_status": status})
}

// testBackend receives what the station publishes.
type testBackend struct {
	module *everest.Module
	heard  chan string
}

func (b *testBackend) system() *everest.Required { return b.module.Requires("system")[0] }

func (b *testBackend) expect(t testing.TB, statuses ...string) {
	t.Helper()
	for _, want := range statuses {
		select {
		case got := <-b.heard:
			if got != want {
				t.Fatalf("the backend heard %q, want %q", got, want)
			}
		case <-time.After(everesttest.Patience):
			t.Fatalf("the backend did not hear %q", want)
		}
	}
}

func (b *testBackend) quiet(t testing.TB) {
	t.Helper()
	select {
	case got := <-b.heard:
		t.Errorf("the backend heard %q", got)
	default:
	}
}

func call[R any](t testing.TB, b *testBackend, command string, arguments any) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), everesttest.Patience)
	defer cancel()
	result, err := everest.Call[R](ctx, b.system(), command, arguments)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return result
}

// newStation starts a station on an embedded broker; config are the aggregator's keys.
func newStation(t testing.TB, boards int, config map[string]any) *testStation {
	t.Helper()
	return newStationOn(t, everesttest.NewBroker(t), boards, config)
}

// patient is the key of a station that asks the boards strictly one after the other, however long they take.
const patient = "patient"

func newStationOn(t testing.TB, broker everest.Broker, boards int, config map[string]any) *testStation {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &testStation{t: t, directory: t.TempDir(), logs: logs, logged: make(chan struct{}, 1)}
	s.log = zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		select {
		case s.logged <- struct{}{}:
		default:
		}
		return nil
	}))
	s.config = map[string]any{
		"upload_url_template": fmt.Sprintf("ftp://{my-ip}:%d/", testenv.FreePort(t)),
		// Enough of the tests' short seconds for a machine that is busy with other things.
		"board_timeout": 250, "incoming_upload_timeout": 600, "upload_connect_timeout": 600, "upload_stall_timeout": 3600, "upload_timeout": 80000,
		"incoming_uploads_dir":   filepath.Join(s.directory, "incoming"),
		"state_dir":              filepath.Join(s.directory, "state"),
		"default_retry_interval": 0,
	}
	for key, value := range config {
		s.config[key] = value
	}
	if _, s.patient = s.config[patient]; s.patient {
		delete(s.config, patient)
	}
	modules := map[string]everesttest.ModuleConfig{
		"backend": {Module: "Backend", Manifest: []byte(backendManifest),
			Connections: map[string][]everesttest.Connection{"system": {{ModuleID: "aggregator", ImplementationID: "system"}}}},
	}
	connections := map[string][]everesttest.Connection{}
	for i := range boards {
		id := fmt.Sprintf("board%d", i)
		modules[id] = everesttest.ModuleConfig{Module: "Board", Manifest: []byte(boardManifest)}
		connections["system"] = append(connections["system"], everesttest.Connection{ModuleID: id, ImplementationID: "main"})
		if i > 0 {
			connections["satellite"] = append(connections["satellite"], everesttest.Connection{ModuleID: id, ImplementationID: "satellite"})
		}
	}
	modules["aggregator"] = everesttest.ModuleConfig{Module: "SystemAggregator", Manifest: manifest, Config: s.config, Connections: connections}
	s.manager = everesttest.NewManager(t, everesttest.ManagerConfig{Broker: broker, Modules: modules, Definitions: testDefinitions(t)})
	for i := range boards {
		s.boards = append(s.boards, s.startBoard(i))
	}
	s.backend = &testBackend{heard: make(chan string, 1000)}
	everesttest.RunModule(t, s.manager.Options("backend"), func(m *everest.Module) {
		s.backend.module = m
		for variable, key := range map[string]string{"firmware_update_status": "firmware_update_status", "log_status": "log_status"} {
			m.Requires("system")[0].Subscribe(variable, func(_ context.Context, value json.RawMessage) {
				var report map[string]any
				if err := json.Unmarshal(value, &report); err != nil {
					t.Error(err)
				}
				s.backend.heard <- fmt.Sprintf("%v %v", report["request_id"], report[key])
			})
		}
	})
	s.startAggregator()
	everesttest.WaitReady(t, s.manager)
	return s
}

// testUnit makes the module's seconds short, but longer than what anything here really takes.
const testUnit = 50 * time.Millisecond

func (s *testStation) startAggregator() {
	config := Config{Everest: s.manager.Options("aggregator"), Logger: s.log, unit: testUnit, resetPause: 200 * time.Millisecond}
	if s.patient {
		config.staggering = everesttest.Patience
	}
	aggregator := New(config)
	s.aggregator = everesttest.Run(s.t, "aggregator", aggregator.Run)
}

func (s *testStation) startBoard(i int) *testBoard {
	b := &testBoard{index: i, update: "Accepted", yes: true, address: "127.0.0.1", remote: "127.0.0.1", linked: true, called: make(chan string, 1000)}
	everesttest.RunModule(s.t, s.manager.Options(fmt.Sprintf("board%d", i)), func(m *everest.Module) {
		b.module = m
		for _, command := range []string{"update_firmware", "allow_firmware_installation", "upload_logs", "is_reset_allowed", "reset", "set_system_time", "get_boot_reason"} {
			m.Provides("main").Handle(command, func(ctx context.Context, arguments everest.Args) (any, error) {
				return b.answer(ctx, command, arguments)
			})
		}
		m.Provides("satellite").Handle("get_local_endpoint_address", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.address, nil
		})
		m.Provides("satellite").Handle("get_remote_endpoint_address", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.remote, nil
		})
		m.Provides("satellite").Handle("is_connected", func(context.Context, everest.Args) (any, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.linked, nil
		})
	})
	return b
}

// waitLogged waits until count lines with the text are logged, and returns them.
func (s *testStation) waitLogged(t testing.TB, text string, count int) []observer.LoggedEntry {
	t.Helper()
	limit := time.After(everesttest.Patience)
	for {
		if entries := s.logs.FilterMessageSnippet(text).All(); len(entries) >= count {
			return entries
		}
		select {
		case <-s.logged:
		case <-limit:
			t.Fatalf("%q was not logged %d times", text, count)
		}
	}
}

// wasCalled waits for a command of a board.
func (b *testBoard) wasCalled(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-b.called:
		if got != want {
			t.Fatalf("board %d was called %s, want %s", b.index, got, want)
		}
	case <-time.After(everesttest.Patience):
		t.Fatalf("board %d was not called %s", b.index, want)
	}
}

func (b *testBoard) wasNotCalled(t testing.TB) {
	t.Helper()
	select {
	case got := <-b.called:
		t.Errorf("board %d was called %s", b.index, got)
	default:
	}
}

// sendsFile has a board send a file to the requested location and report it, as system modules do.
func (b *testBoard) sendsFile(t testing.TB, name string, content []byte) {
	b.set(func(b *testBoard) {
		b.logs = func(ctx context.Context, request map[string]any) (any, error) {
			b.module.Provides("main").Publish(ctx, "log_status", map[string]any{"request_id": request["request_id"], "log_status": "Uploading"})
			go func() {
				status := "Uploaded"
				if err := sendTo(t.Context(), request["location"].(string), name, content); err != nil {
					status = "UploadFailure"
				}
				b.report(context.Background(), request["request_id"], status)
			}()
			return map[string]any{"upload_logs_status": "Accepted", "file_name": name}, nil
		}
	})
}

// sendTo uploads as a board does.
func sendTo(ctx context.Context, location, name string, content []byte) error {
	parsed, err := transfer.ParseLocation(location)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "board")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(content); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	return transfer.NewUploader(transfer.UploaderConfig{}).Upload(ctx, parsed, file.Name(), name, nil)
}
